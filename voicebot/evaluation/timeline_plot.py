"""A picture of one call: both sides' audio, and what was heard, understood and said when.

Time runs in rows, like a score, so that a long call stays readable. In each row, from the top:
what the bot said, its audio, the caller's audio, what was recognised as it became known, and
what the caller's turn came to.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from voicebot.errors import AudioFileError, UserMistake
from voicebot.evaluation.timeline_story import Mark, Span, Story, tell
from voicebot.store.timeline import read_timeline

_ROW_S = 22.0  # most seconds in a row, unless the call would need over _MOST_ROWS
_MOST_ROWS = 60
_WIDTH_IN, _ROW_IN, _DPI = 20.0, 3.6, 100
_MARGIN_IN = (0.75, 0.3)  # left, right
_COLUMNS = 1600  # of a row's waveform
_FONT, _SMALL = 8.0, 7.0
_CHAR_IN = 0.0082  # mean width of a character per point of font size, DejaVu Sans
_BOT, _CALLER, _CUT, _TURN = "#2b6cb0", "#2f855a", "#c53030", "#6b46c1"
# Lanes: centre or top, in the row's own units.
_BOT_TEXT, _BOT_WAVE, _CALLER_WAVE, _PARTIALS, _FINALS, _BOTTOM = 6.0, 3.6, 1.6, 0.45, -0.75, -2.1
_HALF_WAVE = 0.9
_PARTIAL_LANES, _LANE = 3, 0.36


def draw(recording_wav: Path | None, timeline_jsonl: Path, png: Path) -> None:
    """Write the picture; without a recording, events only. UserMistake where files are not good."""
    story = tell(read_timeline(timeline_jsonl))
    audio = _Audio(np.zeros((0, 2), np.float32), 8000)
    if recording_wav is not None:
        audio = _read(recording_wav)
    duration_s = max(story.duration_s, len(audio.samples) / audio.rate_hz, 0.5)
    rows = min(int(np.ceil(duration_s / _ROW_S)), _MOST_ROWS)
    row_s = max(duration_s / rows, 5.0)
    width = max(10.0, _WIDTH_IN * min(1.0, row_s / _ROW_S))
    figure = Figure(figsize=(width, _ROW_IN * rows + 0.6), dpi=_DPI)
    FigureCanvasAgg(figure)
    for number in range(rows):
        axes = _row_axes(figure, number, rows)
        _Row(axes, story, audio, number * row_s, row_s, width - sum(_MARGIN_IN)).draw()
    _head(figure, story, duration_s)
    _save(figure, png)


@dataclass(frozen=True, slots=True)
class _Audio:
    samples: NDArray[np.float32]  # [n, 2]: caller, bot
    rate_hz: int

    def envelope(
        self, channel: int, begin_s: float, end_s: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
        """(seconds, lowest, highest) per column of the picture, scaled to the whole call."""
        side = self.samples[:, channel] if self.samples.shape[1] > channel else self.samples[:0, 0]
        loudest = max(float(np.abs(side).max(initial=0.0)), 0.05)
        begin, end = int(begin_s * self.rate_hz), int(end_s * self.rate_hz)
        step = max((end - begin) // _COLUMNS, 1)
        part = side[begin:end]
        part = part[: len(part) // step * step].reshape(-1, step) / loudest
        times = begin_s + np.arange(len(part)) * step / self.rate_hz
        if not len(part):
            return times, np.zeros(0, np.float32), np.zeros(0, np.float32)
        return times, part.min(axis=1), part.max(axis=1)


class _Row:
    """One row: `row_s` seconds from `begin_s`, `inches` wide."""

    def __init__(
        self, axes: Axes, story: Story, audio: _Audio, begin_s: float, row_s: float, inches: float
    ) -> None:
        self._axes, self._story, self._audio = axes, story, audio
        self._begin_s, self._end_s, self._row_s = begin_s, begin_s + row_s, row_s
        self._per_inch = row_s / inches
        axes.set_xlim(self._begin_s, self._end_s)

    def draw(self) -> None:
        self._waves()
        for span in self._inside(self._story.speech):
            self._box(span, _CALLER_WAVE - _HALF_WAVE, 2 * _HALF_WAVE, _CALLER, 0.15)
        for span in self._inside(self._story.prompts):
            self._prompt(span)
        for span in self._inside(self._story.responses):
            self._response(span)
        self._texts(self._now(self._story.partials), _PARTIALS, _PARTIAL_LANES, "#555555", _SMALL)
        results = [mark for mark in self._story.marks if mark.kind == "interpretation"]
        results = [Mark(mark.at_s, mark.kind, f"\u2192 {mark.text}") for mark in results]
        finals = sorted(self._now([*self._story.finals, *results]), key=lambda mark: mark.at_s)
        self._texts(finals, _FINALS, 3, "black", _FONT)
        for mark in self._now(self._story.marks):
            self._mark(mark)

    def _inside(self, spans: Sequence[Span]) -> Iterator[Span]:
        return (s for s in spans if s.end_s > self._begin_s and s.begin_s < self._end_s)

    def _now(self, marks: Sequence[Mark]) -> list[Mark]:
        return [mark for mark in marks if self._begin_s <= mark.at_s < self._end_s]

    def _waves(self) -> None:
        for channel, centre, colour in ((1, _BOT_WAVE, _BOT), (0, _CALLER_WAVE, _CALLER)):
            times, low, high = self._audio.envelope(channel, self._begin_s, self._end_s)
            self._axes.axhline(centre, color=colour, linewidth=0.4, alpha=0.5)
            self._axes.fill_between(
                times,
                centre + _HALF_WAVE * low,
                centre + _HALF_WAVE * high,
                color=colour,
                linewidth=0.3,
            )

    def _box(self, span: Span, bottom: float, height: float, colour: str, alpha: float) -> None:
        begin, end = max(span.begin_s, self._begin_s), min(span.end_s, self._end_s)
        self._axes.add_patch(
            Rectangle(
                (begin, bottom), end - begin, height, facecolor=colour, alpha=alpha, linewidth=0
            )
        )

    def _prompt(self, span: Span) -> None:
        self._box(span, _BOT_WAVE - _HALF_WAVE, 2 * _HALF_WAVE, _BOT, 0.12)
        begin, end = max(span.begin_s, self._begin_s), min(span.end_s, self._end_s)
        share = (end - begin) / (span.end_s - span.begin_s)
        if share < 0.5 and (
            span.begin_s < self._begin_s or span.end_s <= self._end_s + self._row_s
        ):
            return  # the text stands in the row that holds more of it
        room_s = max(end - begin, 1.5)
        text = _wrap(span.text, 0.95 * room_s / self._per_inch, _FONT, 4)
        self._text(min(begin, self._end_s - room_s), _BOT_TEXT, text, _BOT, _FONT)

    def _response(self, span: Span) -> None:
        """How long the caller waited: an arrow between the two waveforms."""
        middle = (_BOT_WAVE + _CALLER_WAVE) / 2
        begin, end = max(span.begin_s, self._begin_s), min(span.end_s, self._end_s)
        self._axes.plot([begin, end], [middle, middle], color=_TURN, linewidth=1.5, marker="|")
        if span.end_s < self._end_s:
            text = f"{(span.end_s - span.begin_s) * 1000:.0f} ms"
            self._text(end, middle, f" {text}", _TURN, _SMALL, align="center")

    def _texts(
        self, marks: Sequence[Mark], top: float, lanes: int, colour: str, size: float
    ) -> None:
        """Texts side by side, in the next lane where one would cover another."""
        free = [self._begin_s] * lanes
        for mark in marks:
            letter = size * _CHAR_IN * self._per_inch
            text = textwrap.shorten(mark.text, int(self._row_s / letter) - 1, placeholder=" \u2026")
            width = len(text) * letter
            at = min(mark.at_s, max(self._end_s - width, self._begin_s))
            lane = next((n for n in range(lanes) if free[n] <= at), None)
            self._axes.plot([mark.at_s] * 2, [top, top + 0.12], color=colour, linewidth=0.6)
            if lane is None:
                continue  # its tick shows that there was one
            free[lane] = at + width + 0.1
            self._text(at, top - lane * _LANE, text, colour, size)

    def _mark(self, mark: Mark) -> None:
        if mark.kind == "digit":
            box: dict[str, object] = {
                "boxstyle": "round,pad=0.2",
                "facecolor": "white",
                "edgecolor": _CALLER,
            }
            self._text(mark.at_s, _CALLER_WAVE, mark.text, _CALLER, _FONT + 2, "center", box)
        elif mark.kind == "barge_in":
            self._line(mark.at_s, _CALLER_WAVE - _HALF_WAVE, _BOT_WAVE + _HALF_WAVE, _CUT, "-")
            self._text(mark.at_s, _BOT_WAVE + 0.85, f" barge-in {mark.text}", _CUT, _FONT)
        elif mark.kind == "turn_ended":
            self._line(mark.at_s, _CALLER_WAVE - _HALF_WAVE, _CALLER_WAVE + _HALF_WAVE, _TURN, "--")
            self._text(mark.at_s, _CALLER_WAVE - 0.55, f" {mark.text}", _TURN, _SMALL)
        elif mark.kind in {"no_input", "transfer", "call_ended", "service"}:
            self._line(mark.at_s, _CALLER_WAVE - _HALF_WAVE, _BOT_WAVE + _HALF_WAVE, "black", ":")
            is_late = mark.at_s > self._end_s - 1.2
            side = "right" if is_late else "left"
            self._text(mark.at_s, _BOT_WAVE - 0.55, f" {mark.text} ", "black", _SMALL, side=side)

    def _line(self, at: float, bottom: float, top: float, colour: str, style: str) -> None:
        self._axes.plot([at, at], [bottom, top], color=colour, linestyle=style, linewidth=1.2)

    def _text(
        self,
        at: float,
        height: float,
        text: str,
        colour: str,
        size: float,
        align: str = "top",
        box: dict[str, object] | None = None,
        side: str = "left",
    ) -> None:
        self._axes.text(
            at,
            height,
            text,
            color=colour,
            fontsize=size,
            verticalalignment=align,
            horizontalalignment=side,
            bbox=box,
            parse_math=False,  # "$" is money here
            clip_on=False,
        )


def _wrap(text: str, inches: float, size: float, lines: int) -> str:
    width = max(int(inches / (size * _CHAR_IN)), 8)
    return "\n".join(textwrap.wrap(text, width, max_lines=lines, placeholder=" \u2026"))


def _row_axes(figure: Figure, number: int, rows: int) -> Axes:
    height = _ROW_IN * rows + 0.6
    width = figure.get_figwidth()
    left, right = _MARGIN_IN
    axes = figure.add_axes(
        (
            left / width,
            (_ROW_IN * (rows - 1 - number) + 0.3) / height,
            (width - left - right) / width,
            (_ROW_IN - 0.25) / height,
        )
    )
    axes.set_ylim(_BOTTOM, _BOT_TEXT + 0.1)
    axes.set_yticks(
        [_BOT_TEXT - 0.3, _BOT_WAVE, _CALLER_WAVE, _PARTIALS - 0.3, _FINALS - 0.3],
        labels=["bot says", "bot", "caller", "partials", "turn"],
        fontsize=_FONT,
    )
    axes.tick_params(axis="x", labelsize=_SMALL)
    axes.xaxis.set_major_locator(MaxNLocator(20, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: _clock(value))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", linewidth=0.3, alpha=0.6)
    axes.set_axisbelow(True)
    return axes


def _clock(seconds: float) -> str:
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    return f"{minutes}:{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")


def _head(figure: Figure, story: Story, duration_s: float) -> None:
    waits = sorted(span.end_s - span.begin_s for span in story.responses)
    facts = [f"{duration_s:.1f} s", f"caller turns: {len(story.finals)}"]
    if waits:
        facts.append(f"response median {waits[len(waits) // 2] * 1000:.0f} ms")
    if story.outcome:
        facts.append(f"outcome {story.outcome}")
    figure.text(
        _MARGIN_IN[0] / figure.get_figwidth(),
        1 - 0.12 / figure.get_figheight(),
        "   ·   ".join(facts),
        fontsize=_FONT + 2,
        verticalalignment="top",
        parse_math=False,
    )
    figure.legend(
        handles=[
            Patch(facecolor=_BOT, alpha=0.2, label="prompt"),
            Patch(facecolor=_CALLER, alpha=0.2, label="speech (VAD)"),
            Line2D([], [], color=_TURN, linewidth=1.5, marker="|", label="response time"),
            Line2D([], [], color=_TURN, linestyle="--", label="turn ended"),
            Line2D([], [], color=_CUT, label="barge-in"),
        ],
        loc="upper right",
        ncols=5,
        fontsize=_SMALL,
        frameon=False,
    )


def _read(path: Path) -> _Audio:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError):  # soundfile.LibsndfileError is a RuntimeError
        raise AudioFileError(
            f"{path}: not a readable recording; give the recording.wav of a call"
        ) from None
    return _Audio(samples, rate)


def _save(figure: Figure, png: Path) -> None:
    try:
        png.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # A script that the font lacks is drawn as boxes; that is no reason to complain.
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(png, format="png")
    except OSError as error:
        raise UserMistake(f"picture {png}: {error.strerror}; name a writable file") from None
