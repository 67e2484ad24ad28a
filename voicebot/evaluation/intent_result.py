"""The figures of the speech-to-intent benchmark: table, JSON, picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voicebot.errors import UserMistake
from voicebot.evaluation.asr_score import bootstrap
from voicebot.evaluation.intent_labels import Request

PUBLISHED: Mapping[str, tuple[float, float, float]] = {
    # At 16 kHz; mean, lowest and highest over 6 to 24 dB, as the benchmark publishes them.
    "Picovoice Rhino": (0.98, 0.96, 0.99),
    "Microsoft LUIS": (0.91, 0.86, 0.93),
    "IBM Watson": (0.89, 0.72, 0.96),
    "Amazon Lex": (0.85, 0.80, 0.88),
    "Google Dialogflow": (0.79, 0.70, 0.83),
}
MARKS = (0.93, 0.98)
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recording at one SNR: what was heard and understood. `is_known`: by training."""

    request: Request
    snr_db: float
    heard: str
    intent: str | None
    slots: Mapping[str, str]
    is_known: bool = False

    @property
    def has_intent(self) -> bool:
        """The intent alone."""
        return self.intent == self.request.intent

    @property
    def is_right(self) -> bool:
        """The intent and every slot, none missing, wrong or too many."""
        wanted = self.request
        return self.has_intent and not wanted.unknown and dict(self.slots) == dict(wanted.slots)

    @property
    def slots_right(self) -> tuple[int, int]:
        """(right, wanted or filled)."""
        wanted = self.request.slots
        names = {*wanted, *self.slots}
        return sum(self.slots.get(name) == wanted.get(name) for name in names), len(names)


@dataclass(frozen=True, slots=True)
class IntentResult:
    """All outcomes, and what hearing them cost."""

    outcomes: Sequence[Outcome]
    audio_s: float
    cpu_s: float
    left_out: int = 0

    def as_dict(self) -> dict[str, object]:
        """See voicebot.evaluation.intent."""
        outcomes = self.outcomes
        slots = np.array([outcome.slots_right for outcome in outcomes])
        rights = [float(outcome.is_right) for outcome in outcomes]
        groups = [str(outcome.request.path) for outcome in outcomes]
        low, high = bootstrap(rights, [1.0] * len(rights), groups)
        unknown = {o.request.path: o.request.unknown for o in outcomes}
        return {
            "acceptance": _acceptance(outcomes),
            "mean": _mean(outcomes),
            "ci95": [round(low, 4), round(high, 4)],
            "intent_mean": round(float(np.mean([o.has_intent for o in outcomes])), 4),
            "slots_mean": round(float(slots[:, 0].sum() / max(1, slots[:, 1].sum())), 4),
            "held_out": _part([o for o in outcomes if not o.is_known]),
            "known": _part([o for o in outcomes if o.is_known]),
            "items": len(unknown),
            "left_out": self.left_out,
            "snrs_db": sorted({o.snr_db for o in outcomes}),
            "unknown": dict(Counter(what for of_one in unknown.values() for what in of_one)),
            "audio_s": round(self.audio_s, 1),
            "cpu_s": round(self.cpu_s, 1),
            "rtf": round(self.cpu_s / max(self.audio_s, 1e-9), 4),
            "wrong": [_wrong(outcome) for outcome in outcomes if not outcome.is_right],
        }

    def table(self) -> str:
        """By SNR, beside the published systems."""
        snrs = sorted({outcome.snr_db for outcome in self.outcomes})
        of = self.as_dict()
        rows = [("voicebot, 8 kHz mu-law", list(self.outcomes))]
        parts = [[o for o in self.outcomes if o.is_known is known] for known in (False, True)]
        if all(parts):
            rows += [
                ("  recordings not trained on", parts[0]),
                ("  recordings trained on", parts[1]),
            ]
        head = "".join(f"{snr:>7g}" for snr in snrs)
        lines = [f"{'intent and all slots right, %, at dB':<38}{'mean':>7}{head}"]
        for name, outcomes in rows:
            by_snr = _acceptance(outcomes)
            cells = "".join(f"{100 * by_snr[f'{snr:g}']:7.1f}" for snr in snrs)
            lines.append(f"{name:<38}{100 * _mean(outcomes):7.1f}{cells}")
        for name, (mean, worst, best) in PUBLISHED.items():
            lines.append(f"{name + ', 16 kHz':<38}{100 * mean:7.0f}   {worst:.2f} to {best:.2f}")
        low, high = np.multiply(of["ci95"], 100)  # type: ignore[call-overload]
        lines += [
            f"\n{of['items']} recordings; 95 % of bootstraps {low:.1f} to {high:.1f} %; marks "
            f"{MARKS[0]:.0%}, then {MARKS[1]:.0%}",
            f"intent alone {_percent(of['intent_mean'])}, slots {_percent(of['slots_mean'])}; "
            f"recognition took {1000 * self.cpu_s / max(self.audio_s, 1e-9):.0f} ms of CPU for a "
            "second of audio",
        ]
        if any(o.is_known for o in self.outcomes) and not all(parts):
            lines.append("The weights were trained on these recordings: the figures flatter them.")
        if of["unknown"]:
            lines.append(f"Labels without a counterpart in the plan: {of['unknown']}")
        wrong = [outcome for outcome in self.outcomes if not outcome.is_right]
        lines += [_line(outcome) for outcome in wrong[:SHOWN]]
        if len(wrong) > SHOWN:
            lines.append(f"... and {len(wrong) - SHOWN} more (--json gives all)")
        return "\n".join(lines)

    def plot(self, path: Path) -> None:
        """Acceptance over SNR between the published systems, as PNG."""
        figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        parts = {"all": list(self.outcomes)}
        if any(o.is_known for o in self.outcomes) and any(not o.is_known for o in self.outcomes):
            parts |= {
                "not trained on": [o for o in self.outcomes if not o.is_known],
                "trained on": [o for o in self.outcomes if o.is_known],
            }
        for (name, outcomes), style in zip(parts.items(), ("o-", "s--", "^:"), strict=False):
            by_snr = _acceptance(outcomes)
            axes.plot(
                [float(snr) for snr in by_snr],
                [100 * share for share in by_snr.values()],
                style,
                label=f"voicebot, 8 kHz, {name} ({100 * _mean(outcomes):.1f})",
            )
        colours = ("#718096", "#a0aec0", "#b7791f", "#805ad5", "#c53030")
        for (name, (mean, *_)), colour in zip(PUBLISHED.items(), colours, strict=True):
            label = f"{name}, 16 kHz, mean ({100 * mean:.0f})"
            axes.axhline(100 * mean, color=colour, lw=1, alpha=0.7, label=label)
        axes.set_xlabel("signal to noise ratio, dB")
        axes.set_ylabel("intent and all slots right, %")
        lowest = min([*_acceptance(self.outcomes).values(), 0.75])
        axes.set_ylim(max(0.0, 100 * lowest - 5), 100.5)
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize="small")
        axes.set_title("Speech to intent in kitchen noise")
        try:
            figure.savefig(path, format="png")
        except OSError as error:
            raise UserMistake(f"{path}: cannot be written ({error.strerror})") from None


def _acceptance(outcomes: Sequence[Outcome]) -> dict[str, float]:
    by_snr: dict[float, list[bool]] = {}
    for outcome in outcomes:
        by_snr.setdefault(outcome.snr_db, []).append(outcome.is_right)
    return {f"{snr:g}": round(float(np.mean(of)), 4) for snr, of in sorted(by_snr.items())}


def _mean(outcomes: Sequence[Outcome]) -> float:
    return round(float(np.mean(list(_acceptance(outcomes).values()))), 4)


def _percent(share: object) -> str:
    return f"{100 * float(str(share)):.1f} %"


def _part(outcomes: Sequence[Outcome]) -> dict[str, object] | None:
    if not outcomes:
        return None
    items = len({outcome.request.path for outcome in outcomes})
    return {"items": items, "acceptance": _acceptance(outcomes), "mean": _mean(outcomes)}


def _wrong(outcome: Outcome) -> dict[str, object]:
    return {
        "file": outcome.request.path.name,
        "snr_db": outcome.snr_db,
        "heard": outcome.heard,
        "got": {"intent": outcome.intent, "slots": dict(outcome.slots)},
        "wanted": {"intent": outcome.request.intent, "slots": dict(outcome.request.slots)},
    }


def _line(outcome: Outcome) -> str:
    wanted, got = outcome.request.slots, outcome.slots
    names = sorted(n for n in {*wanted, *got} if wanted.get(n) != got.get(n))
    differences = ", ".join(f"{n}: {got.get(n, '-')} for {wanted.get(n, '-')}" for n in names)
    stem = outcome.request.path.stem[:8]
    what = differences or f"intent {outcome.intent}"
    return f"  {stem} at {outcome.snr_db:g} dB: {what}; heard {outcome.heard!r}"
