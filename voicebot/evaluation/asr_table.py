"""The figures of the evaluation of recognition as text, beside the marks of the design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MARKS: Mapping[str, tuple[tuple[str, str, bool], ...]] = {
    # set: (figure, mark, whether more is better)
    "phone_sentences": (("wer", "15, then 10", False),),
    "phone_keywords": (("wer", "0.5", False),),
    "digits": (("accuracy", "99", True), ("grammar_accuracy", "99.5", True)),
    "letters": (("accuracy", "70", True), ("grammar_accuracy", "80", True)),
    "read_sentences": (("wer", "17", False),),
}
NAMES = {"wer": "errors", "accuracy": "right", "grammar_accuracy": "with grammar"}


def table(of: Mapping[str, Any]) -> str:
    """Sets, breakdown, confidence, cost, latency, invented words."""
    lines = [
        f"{'8 kHz mu-law':<18}{'recs':>6}{'words':>7}{'errors %':>10}{'95 %':>14}{'right %':>9}"
        f"{'grammar %':>11}{'tidy %':>8}{'Brier w':>9}{'Brier u':>9}  marks"
    ]
    lines += [_row(name, figures) for name, figures in of["sets"].items()]
    lines.append(
        "errors: words, of barista slot words missing; right: whole recordings; grammar: the value "
        "understood\nwhere the dialogue knows what it asked for; tidy: capital first, mark last; "
        "Brier of words and utterances"
    )
    lines += _known(of)
    if of["left_out"]:
        left = ", ".join(f"{count} {name}" for name, count in of["left_out"].items())
        lines.append(f"left out as unclear or broken off: {left}")
    lines += ["", *_breakdown(of["sets"]), "", *_rest(of)]
    return "\n".join(lines)


def _row(name: str, of: Mapping[str, Any]) -> str:
    low, high = of["wer_ci95"]
    marks = "; ".join(
        f"{NAMES[figure]} {'>=' if is_more else '<='} {mark}"
        for figure, mark, is_more in MARKS.get(name, ())
    )
    interval = f"{100 * low:.1f}-{100 * high:.1f}"
    return (
        f"{name:<18}{of['recordings']:>6}{of['words']:>7}{_percent(of['wer']):>10}{interval:>14}"
        f"{_percent(of['accuracy']):>9}{_percent(of['grammar_accuracy']):>11}"
        f"{_percent(of['tidy']):>8}{_plain(of['brier_words']):>9}"
        f"{_plain(of['brier_utterances']):>9}  {marks}"
    )


def _known(of: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, figures in of["sets"].items():
        if figures["known"]:
            unseen = figures["wer_unseen"]
            apart = "" if unseen is None else f"; errors without them {_percent(unseen)} %"
            lines.append(
                f"{name}: {figures['known']} of {figures['recordings']} recordings are known from "
                f"training{apart}"
            )
    return [*lines, "(--held-out leaves them out)"] if lines else []


def _breakdown(sets: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, figures in sets.items():
        for trait, values in figures["by"].items():
            cells = ", ".join(
                f"{value} {_percent(part['wer'])} ({part['words']})"
                for value, part in values.items()
            )
            lines.append(f"{name} by {trait}, errors in % (of words): {cells}")
    return lines


def _rest(of: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Brier: words {_plain(of['brier_words'])}, utterances {_plain(of['brier_utterances'])} "
        "(mark 0.10)",
        f"one pass with a beam: {of['decode_cpu_ms_per_s']} ms of CPU per second of audio",
    ]
    if (late := of["latency"]) is not None:
        lines += [
            f"{late['calls']} calls, {late['talking']} callers talking at once, virtual time with "
            f"the CPU time really taken; {late['utterances']} utterances, {late['cut']} cut off, "
            f"{late['missed']} without a turn in time:",
            f"  recognition {of['cpu_ms_per_s']} ms of CPU per second of speech, partials and all "
            "(mark 60)",
            f"  first words after the onset: p50 {late['partial_p50_ms']} ms, "
            f"p95 {late['partial_p95_ms']} (mark p50 200)",
            f"  words of the final known after the end of speech: p50 {late['final_p50_ms']} ms, "
            f"p95 {late['final_p95_ms']} (marks 150, 500)",
            f"  turn handed over: p50 {late['turn_p50_ms']} ms, p95 {late['turn_p95_ms']}",
        ]
    invented = of["hallucinated_words_per_minute"]
    lines.append(f"words invented where nobody speaks: {_plain(invented)} a minute (mark 0.1)")
    for kind, texts in of["hallucinated_texts"].items():
        lines.append(f"  {kind}: {of['hallucinated'][kind]} a minute, such as {texts[0]!r}")
    return [*lines, *_foreign(of["another_language"] or {})]


def _foreign(of: Mapping[str, Any]) -> list[str]:
    lines = ["another language, % of callers:  any text  sure (0.5)  slot filled"] if of else []
    return lines + [
        f"  where {name} is asked for".ljust(33)
        + f"{_percent(one['texts']):>8}{_percent(one['sure']):>12}{_percent(one['filled']):>13}"
        + f"  surest {one['worst'][1]:.2f}"
        for name, one in of.items()
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
