"""What tells a caller who has finished from one who pauses: clips that end in a short silence.

Every recording is heard by the product's own VAD. Each pause inside it gives a clip that ends as
a negative, its end a positive one, cut where the product asks, at the first sign of silence, and
where the voice has fallen, for what was read there is judged if nothing was said since.
Copies vary speed, level and the length of the silence; sentences cut at a quiet
instant between sounds, with noise of the same line after it, show how unfinished speech sounds.
Whose recordings are held out is decided by crc32 of the session, speaker or file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import soxr
from numpy.typing import NDArray

from voicebot.asr.recogniser import Recogniser
from voicebot.audio import mulaw
from voicebot.audio.files import read_audio
from voicebot.audio.pcm import to_float, to_int16
from voicebot.audio.resample import resample
from voicebot.engine.dips import fallen_at
from voicebot.errors import UserMistake
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.turns.answer import AHEAD_SAMPLES
from voicebot.turns.pauses import Stretch, doubtful, stretches
from voicebot.turns.vad import WINDOW_SAMPLES, SileroVad

Signal = NDArray[np.float32]
Tell = Callable[[str], None]

PREROLL_SAMPLES = 3 * SAMPLE_RATE_HZ // 10
"""The listener's: what the recogniser gets of the time before the onset."""
OTHER_VOICES = ("voices", "talking", "speech")
"""Marks of the transcriber: where the speaker's turn ends is then not told by the sound."""
BATCH = 64
FULL_PAUSE_MS, LEAST_SHARE, MOST_SHARE = 400, 0.25, 1.5
"""A pause counts by its length, in proportion to the first, within these shares: nobody is cut off
in a short one, and a long one needs to be known."""
_FADE = SAMPLE_RATE_HZ // 50


@dataclass(frozen=True, slots=True)
class Recording:
    """float32 at 8 kHz, mu-law. `name`: of session, speaker or file, by which it is held out."""

    collection: str
    kind: str
    name: str
    samples: Signal

    @property
    def is_held_out(self) -> bool:
        """No training and no tuning may see it: every fifth."""
        return crc32(self.name.encode()) % 5 == 0


@dataclass(frozen=True, slots=True)
class Pause:
    """[start_at, silent_at) was said of a recording, then it is silent up to `until`."""

    recording: int
    start_at: int
    silent_at: int
    asked_at: int
    until: int
    is_end: bool

    @property
    def counts(self) -> float:
        """What it weighs against an end."""
        if self.is_end:
            return 1.0
        ms = (self.until - self.silent_at) * 1000 / SAMPLE_RATE_HZ
        return min(max(ms / FULL_PAUSE_MS, LEAST_SHARE), MOST_SHARE)


@dataclass(frozen=True, slots=True)
class Clip:
    """Audio at 8 kHz that ends in silence; `pause` is its index, `weight` what it counts."""

    samples: Signal
    pause: int
    is_end: bool
    weight: float


def read(folder: Path) -> list[Recording]:
    """phone_calls, barista and read_sentences, as far as they are there. UserMistake if none."""
    found = [*_transcribed(folder / "phone_calls", "session"), *_orders(folder / "barista")]
    found += _transcribed(folder / "read_sentences", "speaker")
    if not found:
        raise UserMistake(f"{folder}: holds neither phone_calls nor barista nor read_sentences")
    return found


def _transcribed(folder: Path, by: str) -> Iterator[Recording]:
    index = folder / "transcripts.jsonl"
    for line in index.read_text().splitlines() if index.is_file() else ():
        row = json.loads(line)
        if not any(mark in row.get("transcription", "") for mark in OTHER_VOICES):
            kind = row.get("kind", "read")
            yield Recording(folder.name, kind, row[by], _telephone(folder / row["file"]))


def _orders(folder: Path) -> Iterator[Recording]:
    for path in sorted(folder.glob("*.flac")):
        yield Recording(folder.name, "order", path.stem, _telephone(path))


def _telephone(path: Path) -> Signal:
    samples, rate = read_audio(path)
    return through_mulaw(resample(samples, rate, SAMPLE_RATE_HZ))


def through_mulaw(samples: Signal) -> Signal:
    """As the telephone carries it."""
    return to_float(mulaw.decode(mulaw.encode(to_int16(samples))))


# ---------------------------------------------------------------- pauses


def pauses(recordings: Sequence[Recording], recogniser: Recogniser, tell: Tell) -> list[Pause]:
    """All pauses in and the silence after each; what follows a speaker's last words is none."""
    found: list[Pause] = []
    order = sorted(range(len(recordings)), key=lambda i: len(recordings[i].samples))
    for begin in range(0, len(order), BATCH):
        rows = order[begin : begin + BATCH]
        heard = probabilities([recordings[i].samples for i in rows])
        for row, of_one in zip(rows, heard, strict=True):
            found += _pauses_of(row, recordings[row].samples, of_one, recogniser)
    tell(f"{len(found)} pauses, {sum(p.is_end for p in found)} of them after the last word")
    return found


def probabilities(batch: Sequence[Signal]) -> list[Signal]:
    """Silero's for every whole window of each recording, a call of its own each."""
    vad = SileroVad(len(batch))
    slots = np.arange(len(batch))
    windows = [len(samples) // WINDOW_SAMPLES for samples in batch]
    found = np.zeros((len(batch), max(windows)), np.float32)
    padded = np.zeros((len(batch), max(windows) * WINDOW_SAMPLES), np.float32)
    for row, samples in enumerate(batch):
        padded[row, : windows[row] * WINDOW_SAMPLES] = samples[: windows[row] * WINDOW_SAMPLES]
    for at in range(max(windows)):
        window = padded[:, at * WINDOW_SAMPLES : (at + 1) * WINDOW_SAMPLES]
        found[:, at] = vad.probabilities(slots, window)
    return [row[:count] for row, count in zip(found, windows, strict=True)]


def _pauses_of(row: int, samples: Signal, heard: Signal, recogniser: Recogniser) -> Iterator[Pause]:
    spoken = _of_the_speaker(stretches([*heard], samples), samples, recogniser)
    for place, stretch in enumerate(spoken):
        is_end = place + 1 == len(spoken)
        until = len(samples) if is_end else spoken[place + 1].start_at
        start = max(0, spoken[0].start_at - PREROLL_SAMPLES)
        if stretch.known_at <= until:
            asked_at = stretch.end_at + AHEAD_SAMPLES
            yield Pause(row, start, stretch.end_at, asked_at, until, is_end)


def _of_the_speaker(
    spoken: list[Stretch], samples: Signal, recogniser: Recogniser
) -> list[Stretch]:
    """Without weak or short sounds at the end in which the recogniser hears no more words."""
    count = doubtful(spoken)
    if not count:
        return spoken
    start = max(0, spoken[0].start_at - PREROLL_SAMPLES)
    clips = [samples[start : stretch.known_at] for stretch in spoken[-count - 1 :]]
    rate = recogniser_audio(clips)
    words = [_letters(heard.text) for heard in recogniser.transcribe(rate)]
    while len(words) > 1 and words[-1] == words[-2]:
        words.pop()
        spoken = spoken[:-1]
    return spoken


def recogniser_audio(clips: Sequence[Signal]) -> list[Signal]:
    """At the recogniser's 16 kHz."""
    return [resample(clip, SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ) for clip in clips]


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


# ---------------------------------------------------------------- clips


@dataclass(frozen=True, slots=True)
class Mixture:
    """What is made of the pauses of recordings to learn from.

    `copies`, `cuts`: of each pause and of each sentence. `other_weight`: what names, keywords and
    orders count against the free sentences that the judge is for; `read_weight`: what
    read_sentences does, of whose pauses `read_share` are taken.
    """

    copies: int = 3
    cuts: int = 3
    other_weight: float = 0.5
    read_share: float = 0.25
    read_weight: float = 0.2
    cut_weight: float = 0.5
    seed: int = 1


def make_clips(
    recordings: Sequence[Recording], found: Sequence[Pause], mixture: Mixture
) -> list[Clip]:
    """Each pause as it is, varied copies of it, and sentences cut off. Seeded."""
    rng = np.random.default_rng(mixture.seed)
    clips: list[Clip] = []
    for index, pause in enumerate(found):
        recording = recordings[pause.recording]
        is_read = recording.collection == "read_sentences"
        if is_read and rng.random() >= mixture.read_share:
            continue
        is_other = recording.kind != "sentence"
        weight = mixture.read_weight if is_read else mixture.other_weight if is_other else 1.0
        counts = weight * pause.counts
        whole = recording.samples[pause.start_at : pause.asked_at]
        clips.append(Clip(whole, index, pause.is_end, counts))
        read_until = fallen_at(recording.samples, pause.asked_at)
        if read_until < pause.asked_at:
            whole = recording.samples[pause.start_at : read_until]
            clips.append(Clip(whole, index, pause.is_end, counts))
        for _ in range(mixture.copies):
            clips.append(Clip(_varied(recording, pause, rng), index, pause.is_end, counts))
        for _ in range(mixture.cuts if recording.kind != "keyword" else 0):
            cut = _cut_off(recording, pause, rng)
            if cut is not None:
                clips.append(Clip(cut, index, False, weight * mixture.cut_weight))
    return clips


def _varied(recording: Recording, pause: Pause, rng: np.random.Generator) -> Signal:
    silence = int(rng.integers(-2, 9)) * WINDOW_SAMPLES  # the voice falls before the VAD sees it
    end = min(pause.silent_at + silence, pause.until)
    clip = recording.samples[pause.start_at : end]
    faster = soxr.resample(clip, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * rng.uniform(0.83, 1.2))
    return through_mulaw(np.asarray(faster * 10 ** (rng.uniform(-8, 6) / 20), np.float32))


def _cut_off(recording: Recording, pause: Pause, rng: np.random.Generator) -> Signal | None:
    """Speech up to a quiet instant 0.3 s or more after its begin and before its end.

    The noise that follows is the line's: what follows the speaker's last words. None where
    there is too little of either.
    """
    quarter = SAMPLE_RATE_HZ // 4
    begin, end = pause.start_at + PREROLL_SAMPLES + quarter, pause.silent_at - quarter
    noise = recording.samples[-quarter:]
    if not pause.is_end or end - begin < quarter or pause.until - pause.silent_at < 2 * quarter:
        return None
    power = np.convolve(recording.samples[begin:end] ** 2, np.ones(_FADE * 3 // 2), mode="same")
    tenth = SAMPLE_RATE_HZ // 10
    block = int(rng.integers(len(power) // tenth)) * tenth
    cut = begin + block + int(power[block : block + tenth].argmin())
    fade = np.linspace(1, 0, _FADE, dtype=np.float32)
    silence = int(rng.integers(2, 6)) * WINDOW_SAMPLES
    head = recording.samples[pause.start_at : cut]
    seam = recording.samples[cut : cut + _FADE] * fade + noise[:_FADE] * (1 - fade)
    return np.concatenate((head, seam, noise[_FADE : _FADE + silence]))
