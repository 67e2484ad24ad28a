"""What callers say in the evaluation of turns: recordings, and what is made where none exist.

Real: sentences and keywords of phone_calls, orders of barista, digits; eight fillers ("um",
"okay") cut out of sentences at their pauses, and what precedes a keyword where the transcription
marks a click, a breath or a smack there. Synthetic, since there are no recordings of them: "yes"
and "no" and nods ("uh-huh", "I see") by espeak through speech.telephone, and hummed nods ("mm-hm",
turns_noise.hummed_nod). Whatever is not a telephone recording is made to sound like one: 300 to
3400 Hz at its level.

Sentences and keywords come from sessions held out of every training (crc32 of the session's name
divisible by 5), orders likewise by file, digits from speakers that the recogniser was not trained
on (of all where there is none such), takes 0 to 4. The fillers come from all sessions: they are too
few.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.echo_path import active_rms
from voicebot.audio.pcm import to_float
from voicebot.errors import UserMistake
from voicebot.evaluation.asr_corpus import was_heard
from voicebot.evaluation.echo_corpus import speech_onset
from voicebot.evaluation.turns_files import read_labels, read_rows, read_telephone
from voicebot.evaluation.turns_noise import hummed_nod
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.speech.telephone import to_telephone
from voicebot.speech.voices import EspeakVoice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

HELD_OUT = 5
MIN_SESSIONS = 3
TEST_TAKES = 5
TELEPHONE_HZ = (300.0, 3400.0)
CALLER_DBFS = -22.0
"""Active level of what is not a telephone recording; phone_calls has -24 in the median."""
MARGIN = 3 * SAMPLE_RATE_HZ // 10
KEYWORDS = ("operator", "onword", "thinkengine", "wildfire", "voyager")
_BURST = re.compile(r"^\s*[\[{]+\s*(lip smack|smack|clicks?|breath|beep)\s*[\]}]+", re.IGNORECASE)
BURST_DBFS, BURST_OVER_DB = -48.0, 12.0
"""A noise counts when it is as loud as this, and so far above the line before the word."""
FRAME = SAMPLE_RATE_HZ // 100
TRIM = 10 ** (-30 / 10)

FILLERS = (
    ("00001/WUWII00001_006.wav", 570, 960, "um"),
    ("00009/WUWII00009_007.wav", 4850, 5320, "um"),
    ("00009/WUWII00009_010.wav", 1790, 2340, "um"),
    ("00071/WUWII00071_008.wav", 6370, 6930, "okay"),
    ("00072/WUWII00072_006.wav", 4660, 5060, "uh"),
    ("00175/WUWII00175_009.wav", 470, 1000, "uh"),
    ("00230/WUWII00230_010.wav", 2200, 2460, "okay"),
    ("00236/WUWII00236_007.wav", 1730, 2110, "um"),
)
"""File, begin and end in ms, text: stretches between pauses of 0.2 s and more in sentences whose
transcription has the word there; the recogniser, too, hears nothing else in them."""

NODS = ("uh huh", "okay", "yeah", "right", "I see", "got it", "sure")
NOD_VOICES = ("en-us+m1", "en-us+f2", "en-gb-x-rp+m3", "en-us+f4", "en-gb-scotland+m7", "en-us+m5")
HUM_HZ = (95.0, 110.0, 125.0, 180.0, 205.0, 230.0)
NOD_RATES = (130, 165, 190)  # words a minute
SHORT_ANSWERS = ("yes", "no", "no thanks", "yes please")


@dataclass(frozen=True, slots=True)
class Clip:
    """Something said: float32 at 8 kHz, speech in [onset, end), the line's noise around it."""

    kind: str
    text: str
    speaker: str
    phone: str
    samples: Signal
    onset: int
    end: int
    is_synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Corpus:
    """All that callers say. `line`: noise of real lines, one stretch for each session."""

    sentences: tuple[Clip, ...]
    keywords: tuple[Clip, ...]
    orders: tuple[Clip, ...]
    digits: dict[str, dict[str, tuple[Signal, ...]]]  # speaker -> digit -> takes, trimmed
    answers: tuple[Clip, ...]
    fillers: tuple[Clip, ...]
    nods: tuple[Clip, ...]
    bursts: tuple[Clip, ...]
    line: tuple[Signal, ...]
    kitchen: Signal
    order_values: dict[str, tuple[str, ...]]  # slot -> values, as labels.json has them
    is_held_out: bool


def load_corpus(directory: Path) -> Corpus:
    """UserMistake when `directory` is not laid out like shared/audio, or holds too little."""
    if not directory.is_dir():
        what = "is not a folder" if directory.exists() else "no such folder"
        raise UserMistake(f"{directory}: {what}; give the folder that holds phone_calls/")
    calls = directory / "phone_calls"
    rows = read_rows(calls / "transcripts.jsonl")
    chosen, is_held_out = _chosen(rows, calls)
    spoken = [row for row in chosen if row.get("text") and not row.get("unclear")]
    keywords = [r for r in spoken if r.get("kind") == "keyword" and r["text"] in KEYWORDS]
    sentences = tuple(_recorded(calls, [r for r in spoken if r.get("kind") == "sentence"]))
    words = tuple(_recorded(calls, keywords))
    if not sentences or not words:
        raise UserMistake(f"{calls}: no sentence or no keyword holds speech; give the whole corpus")
    labels = read_labels(directory / "barista" / "labels.json")
    return Corpus(
        sentences=sentences,
        keywords=words,
        orders=tuple(_orders(directory / "barista", labels)),
        digits=_digits(directory / "digits"),
        answers=tuple(_synthetic("answer", SHORT_ANSWERS)),
        fillers=tuple(_fillers(calls)),
        nods=(*_synthetic("nod", NODS), *_hummed()),
        bursts=tuple(_bursts(calls, keywords)),
        line=tuple(_line(calls, keywords)),
        kitchen=read_telephone(directory / "noise" / "kitchen.flac"),
        order_values=_values(labels),
        is_held_out=is_held_out,
    )


# ---------------------------------------------------------------- recordings


def _chosen(rows: list[dict[str, Any]], folder: Path) -> tuple[list[dict[str, Any]], bool]:
    held = [r for r in rows if not zlib.crc32(str(r.get("session")).encode()) % HELD_OUT]
    is_held_out = len({r.get("session") for r in held}) >= MIN_SESSIONS
    chosen = held if is_held_out else rows
    sessions = len({r.get("session") for r in chosen})
    if sessions < MIN_SESSIONS:
        raise UserMistake(
            f"{folder}: recordings of {sessions} caller(s), and at least {MIN_SESSIONS} are "
            "needed; give the whole corpus"
        )
    return chosen, is_held_out


def _recorded(folder: Path, rows: list[dict[str, Any]]) -> Iterator[Clip]:
    for row in rows:
        samples = read_telephone(folder / row["file"])
        span = speech_onset(samples)
        if span is None:
            continue
        begin, end = max(0, span[0] - MARGIN), span[1] + MARGIN
        of = (str(row["kind"]), str(row["text"]), str(row.get("session")), str(row.get("phone")))
        yield Clip(*of, samples[begin:end], span[0] - begin, span[1] - begin)


def _orders(folder: Path, labels: dict[str, Any]) -> Iterator[Clip]:
    names = sorted(n for n in labels if not zlib.crc32(n.encode()) % HELD_OUT) or sorted(labels)
    for name in names:
        samples = telephone(read_telephone(folder / f"{name}.flac"))
        span = speech_onset(samples)
        if span is not None:
            text = " ".join(str(value) for value in labels[name].get("slots", {}).values())
            yield Clip("order", text, name[:8], "made", samples, *span)


def _digits(folder: Path) -> dict[str, dict[str, tuple[Signal, ...]]]:
    found: dict[str, dict[str, list[Signal]]] = {}
    heard = set()
    for path in sorted(folder.glob("*_*_*.flac")):
        digit, speaker, take = path.stem.split("_", 2)
        if take.isdigit() and int(take) < TEST_TAKES:
            samples = telephone(read_telephone(path))
            if was_heard(path):
                heard.add(speaker)
            found.setdefault(speaker, {}).setdefault(digit, []).append(trimmed(samples))
    whole = {s: {d: tuple(t) for d, t in of.items()} for s, of in found.items() if len(of) == 10}
    if not whole:
        raise UserMistake(f"{folder}: no speaker of all ten digits (DIGIT_SPEAKER_TAKE.flac)")
    return {s: of for s, of in whole.items() if s not in heard} or whole


def _fillers(folder: Path) -> Iterator[Clip]:
    """Faded at both ends: the line of the recording comes and goes with the word."""
    for name, begin_ms, end_ms, text in FILLERS:
        if not (folder / name).is_file():
            continue
        samples = read_telephone(folder / name)
        pad = SAMPLE_RATE_HZ // 10
        begin, end = (ms * SAMPLE_RATE_HZ // 1000 for ms in (begin_ms, end_ms))
        start = max(0, begin - pad)
        clip = samples[start : end + pad]
        yield Clip("filler", text, name[:5], "recorded", clip, begin - start, end - start)


def _bursts(folder: Path, rows: list[dict[str, Any]]) -> Iterator[Clip]:
    """What precedes a keyword where a click, a breath or a smack of the lips is marked there."""
    for row in rows:
        mark = _BURST.match(str(row.get("transcription", "")))
        until = row.get("keyword_start_s")
        if mark is None or not isinstance(until, int | float):
            continue
        samples = read_telephone(folder / row["file"])[
            : max(0, int((until - 0.05) * SAMPLE_RATE_HZ))
        ]
        frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
        if not len(frames):
            continue
        level = 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-12)
        peak = int(level.argmax())
        if level[peak] > max(BURST_DBFS, float(np.median(level)) + BURST_OVER_DB):
            of = (mark[1].lower(), str(row.get("session")), str(row.get("phone")))
            yield Clip("burst", *of, samples, peak * FRAME, (peak + 1) * FRAME)


def _line(folder: Path, rows: list[dict[str, Any]]) -> Iterator[Signal]:
    """A quiet stretch of each session, to be looped: what precedes the keyword."""
    seen: set[object] = set()
    for row in rows:
        until = row.get("keyword_start_s")
        if row.get("session") in seen or not isinstance(until, int | float) or until < 0.4:
            continue
        samples = read_telephone(folder / row["file"])[: int((until - 0.1) * SAMPLE_RATE_HZ)]
        frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
        power = np.mean(np.square(frames), axis=1)
        if len(frames) >= 20 and power.max() < 16 * max(float(np.median(power)), 1e-10):
            seen.add(row.get("session"))
            yield samples


def _values(labels: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for of in labels.values():
        for slot, value in of.get("slots", {}).items():
            found.setdefault(slot, set()).add(str(value))
    return {slot: tuple(sorted(values)) for slot, values in sorted(found.items())}


# ---------------------------------------------------------------- what is made


def _synthetic(kind: str, texts: tuple[str, ...]) -> Iterator[Clip]:
    """Every text by every voice, each at a rate of its own."""
    for number, name in enumerate(NOD_VOICES):
        for index, text in enumerate(texts):
            rate = NOD_RATES[(number + index) % len(NOD_RATES)]
            spoken = to_telephone(text, EspeakVoice(name, rate).render(text))
            samples = telephone(to_float(mulaw.decode(spoken.mulaw)))
            span = speech_onset(samples)
            if span is not None:
                yield Clip(kind, text, name, "made", samples, *span, is_synthetic=True)


def _hummed() -> Iterator[Clip]:
    for number, hz in enumerate(HUM_HZ):
        samples = telephone(hummed_nod(hz, seed=number))
        span = speech_onset(samples)
        if span is not None:
            yield Clip("nod", "mm hm", f"{hz:.0f} Hz", "made", samples, *span, is_synthetic=True)


def telephone(samples: Signal) -> Signal:
    """The band of a telephone, at the level of one; float32 at 8 kHz in and out."""
    if not len(samples):
        return samples
    padded = len(samples) + SAMPLE_RATE_HZ // 10
    spectrum = np.fft.rfft(samples, padded)
    hz = np.fft.rfftfreq(padded, 1 / SAMPLE_RATE_HZ)
    low, high = TELEPHONE_HZ
    # Fourth-order slopes on both sides, without phase.
    spectrum *= 1 / np.sqrt((1 + (low / np.maximum(hz, 1.0)) ** 8) * (1 + (hz / high) ** 16))
    return levelled(np.fft.irfft(spectrum, padded)[: len(samples)].astype(np.float32), CALLER_DBFS)


def levelled(samples: Signal, dbfs: float) -> Signal:
    """At that active level; silence stays silence."""
    level = active_rms(samples)
    if level <= 0:
        return samples
    gain = np.float32(10 ** (dbfs / 20) / level)
    return np.asarray(np.clip(samples * gain, -1.0, 1.0), np.float32)


def trimmed(samples: Signal) -> Signal:
    """Without what is 30 dB below the loudest 10 ms at both ends: a final "s" stays."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    if not len(frames):
        return samples
    power = np.mean(np.square(frames), axis=1)
    loud = np.flatnonzero(power > power.max() * TRIM)
    return samples[loud[0] * FRAME : (loud[-1] + 1) * FRAME] if len(loud) else samples
