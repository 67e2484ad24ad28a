"""The figures of the evaluation of turns as text: beside their marks, and what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicebot.evaluation.turns_result import TurnsResult

MARKS: dict[str, tuple[str, str, float | None, bool]] = {
    # key: (what it is, unit, mark, whether more is better)
    "onset_p50_ms": ("onset known, line quiet, p50", "ms", 160, False),
    "onset_p95_ms": ("  p95", "ms", None, False),
    "onset_missed": ("  missed within 1 s", "%", 2, False),
    "onset_soft_p50_ms": ("onset at -46 dBFS, p50", "ms", 160, False),
    "onset_soft_p95_ms": ("  p95", "ms", None, False),
    "onset_soft_missed": ("  missed within 1 s", "%", None, False),
    "candidate_p50_ms": ("talking over a prompt: candidate, p50", "ms", 140, False),
    "candidate_p95_ms": ("  p95", "ms", 300, False),
    "yield_mean_ms": ("  yield, mean", "ms", 350, False),
    "yield_p95_ms": ("  yield, p95", "ms", 600, False),
    "yield_rate": ("  yield rate", "%", 99, True),
    "backchannel_selectivity": ("  backchannels that left the floor", "%", 90, True),
    "backchannel_unpaused": ("  backchannels not even paused for", "%", None, True),
    "noise_selectivity": ("  clicks and breaths that left it", "%", None, True),
    "heard_words_off_p95": ("  words recorded as heard, off, p95", "", 1, False),
    "resume_finished": ("prompts paused for nothing, then ended", "%", 100, True),
    "resume_words_lost": ("  words lost", "", 0, False),
    "resume_delay_p50_ms": ("  delay, p50", "ms", None, False),
    "resume_delay_p95_ms": ("  delay, p95", "ms", None, False),
    "false_cutoffs_300": ("false cutoffs at 300 ms", "%", 20, False),
    "false_cutoffs_600": ("false cutoffs at 600 ms", "%", 8, False),
    "latency_5pct_ms": ("latency at 5 % cutoffs", "ms", None, False),
    "digits_truncated": ("numbers truncated", "%", 1, False),
    "digits_p50_ms": ("  length known: end of turn, p50", "ms", 450, False),
    "digits_p95_ms": ("  p95", "ms", None, False),
    "digits_unknown_length_p50_ms": ("  length not known: p50", "ms", None, False),
    "digits_right": ("  all digits understood", "%", None, True),
    "response_p50_ms": ("end of speech to the dialogue's turn, p50", "ms", 400, False),
    "response_p95_ms": ("  p95", "ms", 900, False),
    "response_order_p50_ms": ("  coffee orders, p50", "ms", None, False),
    "response_missed": ("  not answered within 3.5 s", "%", 0, False),
    "response_cut": ("  cut off", "%", None, False),
    "recognition_p50_ms": ("  a recognition takes, p50", "ms", None, False),
    "dtmf_clear_ms": ("key to clear, longest", "ms", 50, False),
    "dtmf_inband_clear_p95_ms": ("in-band key to clear, p95", "ms", 50, False),
    "dtmf_missed": ("keys not entered as pressed", "%", 0, False),
    "dtmf_ahead_ms": ("keys pressed early: taken after", "ms", None, False),
    "robust_stuck": ("calls stuck after disturbances", "", 0, False),
    "robust_errors": ("exceptions", "", 0, False),
}
ORIGINS = (
    "Nods, yes and no are synthetic (espeak, hummed), as are humming, music and mains hum; all "
    "else is\nrecorded. Yield: from the onset as it gets to us to the last sample at the "
    "caller's ear, 60 ms away."
)


def table(result: TurnsResult) -> str:
    """Lines of figures, of groups, of disturbances and of failures."""
    of = result.as_dict()
    lines = ["                                             figure      mark"]
    for key, (name, unit, mark, is_more) in MARKS.items():
        lines.append(_figure(name, of[key], unit, mark, is_more=is_more))
    lines += ["", ORIGINS, "", *_groups(of), "", *_rows(of), "", *_failures(of)]
    return "\n".join(lines)


def met(key: str, value: float | None) -> bool | None:
    """Whether the mark is met; None without a mark or a figure."""
    _, unit, mark, is_more = MARKS[key]
    if mark is None or value is None:
        return None
    value = _scaled(value, unit)
    return value >= mark if is_more else value <= mark


def _scaled(value: float, unit: str) -> float:
    return value * 100 if unit == "%" else value


def _figure(name: str, value: float | None, unit: str, mark: float | None, *, is_more: bool) -> str:
    shown = "-" if value is None else f"{_scaled(value, unit):.{1 if unit == '%' else 0}f}"
    line = f"{name:<42}{shown:>9} {unit:<2}"
    if mark is None:
        return line.rstrip()
    sign = ">=" if is_more else "<="
    scaled = None if value is None else _scaled(value, unit)
    fails = scaled is not None and (scaled < mark if is_more else scaled > mark)
    return f"{line}  {sign} {mark:g}{'   missed' if fails else ''}"


def _groups(of: dict[str, Any]) -> list[str]:
    lines = [
        "over prompts                    tried  floor %  paused %  candidate  yield p50    p95"
    ]
    for name, group in of["floor_by"].items():
        lines.append(
            f"{name:<32}{group['tried']:>5}"
            + _shown(group["took_floor"], 9, 100)
            + _shown(group["paused"], 10, 100)
            + _shown(group["candidate_p50_ms"], 11)
            + _shown(group["yield_p50_ms"], 11)
            + _shown(group["yield_p95_ms"], 7)
        )
    lines += ["", "onset, line quiet               tried      p50      p95  missed %"]
    for name, group in of["onset_by"].items():
        lines.append(
            f"{name:<32}{group['tried']:>5}"
            + _shown(group["p50_ms"], 9)
            + _shown(group["p95_ms"], 9)
            + _shown(group["missed"], 10, 100)
        )
    return lines


def _rows(of: dict[str, Any]) -> list[str]:
    lines = ["disturbance                   bot min  floor/min  pauses/min  stuck  understood"]
    for row in of["robustness"]:
        lines.append(
            f"{row['name']:<30}"
            + _shown(row["bot_minutes"], 7, digits=1)
            + _shown(row["barge_ins_per_min"], 11, digits=2)
            + _shown(row["pauses_per_min"], 12, digits=2)
            + f"{row['stuck']:>4}/{row['calls']}"
            + f"{row['understood']:>10}/{row['calls']}"
            + (f"  {row['error']}" if row["error"] else "")
        )
    return lines


def _failures(of: dict[str, Any]) -> list[str]:
    lines = [f"{len(of['failures'])} wrong about the floor:"]
    for failure in of["failures"]:
        what = "took the floor" if failure["took_floor"] else "was not yielded to"
        line = "echo" if failure["speakerphone_echo"] else "handset"
        lines.append(
            f'  {failure["kind"]} "{failure["text"]}" ({failure["speaker"]}, '
            f"{failure['speech_ms']} ms, over {failure['question']}, {line}) {what}: "
            + ("; ".join([*failure["verdicts"], *failure["heard"]]) or "nothing was noticed")
        )
    lines.append(f"{len(of['digits_failures'])} numbers truncated or ended late:")
    for failure in of["digits_failures"]:
        what = "truncated" if failure["truncated"] else f"after {failure['latency_ms']} ms"
        lines.append(f'  {failure["digits"]} ({failure["speaker"]}) {what}: "{failure["heard"]}"')
    return lines


def _shown(value: float | None, width: int, factor: float = 1.0, digits: int = 0) -> str:
    return f"{'-' if value is None else format(value * factor, f'.{digits}f'):>{width}}"
