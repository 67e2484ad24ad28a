"""Calls made of real recordings in which a caller takes turns, and what the VAD hears in them.

A call strings together the sentences that one caller spoke over one telephone, in their order,
each with its own line noise before and after; orders, whose speakers are not told, are strung
together ten at a time. A recording is a turn: the pauses inside it are the speaker's own,
nothing is cut out or put in. After each turn at least TAIL_SAMPLES are quiet; where a recording
ends sooner, the noise that ends it is played back and forth until then. There is no synthetic
silence anywhere. All goes through 8 kHz mu-law.

A turn ends with its last speech: what follows it but is weak or short, and in which the
recogniser hears no further word, is a breath, a click, or somebody in the background. Recordings
whose transcriber noted other voices, or passages not understood, are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from voicebot.asr.recogniser import Recogniser
from voicebot.audio import mulaw
from voicebot.audio.files import read_audio
from voicebot.audio.pcm import to_float, to_int16
from voicebot.audio.resample import resample
from voicebot.errors import UserMistake
from voicebot.evaluation.asr_origin import examine
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.turns.end_of_turn import trained_on
from voicebot.turns.pauses import Stretch, doubtful, stretches
from voicebot.turns.vad import WINDOW_SAMPLES, SileroVad

Signal = NDArray[np.float32]

TAIL_SAMPLES = 2 * SAMPLE_RATE_HZ
"""Longer than any patience tried."""
PREROLL_SAMPLES = 3 * SAMPLE_RATE_HZ // 10
"""The listener's: what the recogniser gets of the time before the onset."""
ORDERS_PER_CALL = 10
RECOGNISER_HZ = 16000
OTHER_VOICES = ("voices", "talking", "speech")


@dataclass(frozen=True, slots=True)
class Recording:
    """A turn as it was recorded, float32 at 8 kHz. `name`: of the session, or of the file."""

    kind: str
    name: str
    samples: Signal


@dataclass(frozen=True, slots=True)
class Call:
    """Turn i lies in samples [starts[i], starts[i + 1])."""

    kind: str
    samples: Signal
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """Its stretches of speech, by the clock of the call; the last one ends it."""

    kind: str
    call: int
    begins_at: int
    spoken: tuple[Stretch, ...]

    @property
    def pauses_ms(self) -> list[float]:
        """How long the speaker paused, each time."""
        silent = [s.end_at for s in self.spoken[:-1]]
        onsets = [s.start_at for s in self.spoken[1:]]
        return [
            (onset - end) * 1000 / SAMPLE_RATE_HZ for end, onset in zip(silent, onsets, strict=True)
        ]


# ---------------------------------------------------------------- recordings


def read(directory: Path, limit: int | None) -> tuple[list[Recording], bool]:
    """Sentences and orders that the shipped model has not seen, at most `limit` of each kind.

    The flag is False where there are none such: then all are taken. UserMistake when the folder
    holds neither phone_calls nor barista.
    """
    files = [*_sentences(directory / "phone_calls"), *_orders(directory / "barista")]
    if not files:
        raise UserMistake(f"{directory}: holds no sentences in phone_calls/ and no barista/ orders")
    seen = trained_on()
    # By the sound: others count their sessions from 00000 too.
    origins = [examine(path).origin for _, _, path in files]
    unseen = [
        file
        for file, origin in zip(files, origins, strict=True)
        if origin is None or origin.group not in seen
    ]
    chosen = []
    for kind in ("sentence", "order"):
        of_kind = [file for file in unseen or files if file[0] == kind]
        # Any so many of them, the same ones each time, not those of the first callers.
        of_kind = sorted(of_kind, key=lambda file: crc32(file[2].name.encode()))[:limit]
        chosen += sorted(of_kind, key=lambda file: file[2])
    return [Recording(kind, name, _telephone(path)) for kind, name, path in chosen], bool(unseen)


def _sentences(folder: Path) -> Iterator[tuple[str, str, Path]]:
    index = folder / "transcripts.jsonl"
    if not index.is_file():
        return
    for number, line in enumerate(index.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            is_clear = not row.get("unclear") and not any(
                mark in row.get("transcription", "") for mark in OTHER_VOICES
            )
            if row["kind"] == "sentence" and is_clear:
                yield "sentence", str(row["session"]), folder / row["file"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserMistake(
                f"{index}:{number}: is no JSON object with file, kind and session; mend that line"
            ) from None


def _orders(folder: Path) -> Iterator[tuple[str, str, Path]]:
    for path in sorted(folder.glob("*.flac")):
        yield "order", path.stem, path


def _telephone(path: Path) -> Signal:
    samples, rate = read_audio(path)
    return to_float(mulaw.decode(mulaw.encode(to_int16(resample(samples, rate, SAMPLE_RATE_HZ)))))


# ---------------------------------------------------------------- calls


def make_calls(recordings: Sequence[Recording]) -> list[Call]:
    """See the module's docstring. Recordings in which nothing is said are left out."""
    alone = _heard([recording.samples for recording in recordings])
    turns: list[tuple[str, str, Signal]] = []
    count = 0
    for recording, found in zip(recordings, alone, strict=True):
        if found:
            caller = recording.name
            if recording.kind == "order":
                caller, count = f"orders {count // ORDERS_PER_CALL}", count + 1
            turns.append((recording.kind, caller, with_tail(recording.samples, found[-1].end_at)))
    calls = []
    for (kind, _), group in groupby(turns, key=lambda turn: turn[:2]):
        parts = [samples for _, _, samples in group]
        starts = np.cumsum([0, *map(len, parts)])
        calls.append(Call(kind, np.concatenate(parts), tuple(int(at) for at in starts)))
    return calls


def with_tail(samples: Signal, silent_at: int) -> Signal:
    """With TAIL_SAMPLES of its own noise after the speech that ends at `silent_at`."""
    missing = silent_at + TAIL_SAMPLES - len(samples)
    quiet = samples[min(silent_at + SAMPLE_RATE_HZ // 5, len(samples) - SAMPLE_RATE_HZ // 20) :]
    if missing <= 0 or not len(quiet):
        return samples
    swing = np.concatenate((quiet[::-1], quiet))
    return np.concatenate((samples, np.tile(swing, -(-missing // len(swing)))[:missing]))


def _heard(tracks: Sequence[Signal]) -> list[list[Stretch]]:
    """What the VAD makes of each track, all tracks at once as in the engine."""
    vad, slots = SileroVad(len(tracks)), np.arange(len(tracks))
    counts = np.array([len(track) // WINDOW_SAMPLES for track in tracks])
    heard = np.zeros((len(tracks), int(counts.max(initial=0))), np.float32)
    for window in range(heard.shape[1]):
        going = slots[counts > window]
        at = window * WINDOW_SAMPLES
        windows = np.stack([tracks[row][at : at + WINDOW_SAMPLES] for row in going])
        heard[going, window] = vad.probabilities(going, windows)
    return [
        stretches([float(p) for p in row[:count]], track)
        for row, count, track in zip(heard, counts, tracks, strict=True)
    ]


def turns_of(calls: Sequence[Call], recogniser: Recogniser) -> list[Turn]:
    """All turns; those in which nothing is heard, or that run into the next, are left out."""
    found = []
    for index, (call, heard) in enumerate(
        zip(calls, _heard([c.samples for c in calls]), strict=True)
    ):
        for start, end in zip(call.starts, call.starts[1:], strict=False):
            spoken = [s for s in heard if start <= s.start_at < end]
            if spoken and spoken[-1].known_at <= end:
                spoken = _of_the_caller(spoken, call.samples, start, recogniser)
                found.append(Turn(call.kind, index, start, tuple(spoken)))
    return found


def _of_the_caller(
    spoken: list[Stretch], samples: Signal, begins_at: int, recogniser: Recogniser
) -> list[Stretch]:
    count = doubtful(spoken)
    if not count:
        return spoken
    clips = [clip(samples, begins_at, spoken[0], s.known_at) for s in spoken[-count - 1 :]]
    words = [
        "".join(c for c in heard.text.casefold() if c.isalnum())
        for heard in recogniser.transcribe(clips)
    ]
    while len(words) > 1 and words[-1] == words[-2]:
        words.pop()
        spoken = spoken[:-1]
    return spoken


def clip(samples: Signal, begins_at: int, first: Stretch, until: int) -> Signal:
    """What the recogniser gets of a turn at `until`, at 16 kHz."""
    start = max(begins_at, first.start_at - PREROLL_SAMPLES)
    return resample(samples[start:until], SAMPLE_RATE_HZ, RECOGNISER_HZ)
