"""The voices of the echo matrix: who speaks for the bot, and callers who interrupt it.

Far end: sentences of read_sentences (adults) or barista, and the product's own voice, in turns.
Near end: sentences and keywords of phone_calls. Detectors may have been trained on most of its
sessions; by default only those held out (crc32 of the session's name divisible by 5) speak.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.echo_path import active_rms
from voicebot.audio.files import read_audio
from voicebot.audio.pcm import to_int16
from voicebot.audio.resample import resample
from voicebot.errors import UserMistake
from voicebot.events import SAMPLE_RATE_HZ, PhraseEnd, SpokenPrompt
from voicebot.speech.prompts import Prompts
from voicebot.speech.voices import EspeakVoice

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOT_DBFS = -20.0
"""Active level of prompts, as speech.telephone makes them."""
PEAK = 0.7  # -3 dBFS
HELD_OUT = 5
MIN_SPEAKERS = 3
MIN_PROMPT_S = 3.5
FAR_VOICES, SENTENCES_A_VOICE = 6, 8
ADULT = 18
ONSET_FRAME = SAMPLE_RATE_HZ // 100
ONSET_RANGE_DB, ONSET_MARGIN_DB = 18.0, 10.0
ONSET_FRAMES, ONSET_OF = 9, 10
CLIP_MARGIN = 3 * SAMPLE_RATE_HZ // 10
"""Kept of a recording before and after its speech."""

PROMPTS = (
    "Welcome to the bank. You can ask for your balance, move money, or block a card. "
    "What can I do for you?",
    "I have found two accounts, a checking account and a savings account. Which one do you mean?",
    "Please tell me the last four digits of your card number, or enter them on the keypad.",
    "Your balance on the twenty first of November was one thousand two hundred and fifty dollars "
    "and thirty cents.",
    "I am sorry, I did not understand that. Please say operator if you would like to speak to a "
    "person.",
    "Your order is a large iced coffee with three shots of espresso and skimmed milk. "
    "Is that right?",
)


@dataclass(frozen=True, slots=True)
class NearClip:
    """A caller's recording, float32 at 8 kHz as recorded; speech in [onset, end)."""

    speaker: str
    phone: str
    text: str
    samples: NDArray[np.float32]
    onset: int
    end: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """`voices`: prompts of each voice of the bot, the product's own first."""

    voices: tuple[tuple[SpokenPrompt, ...], ...]
    near: tuple[NearClip, ...]
    is_held_out: bool
    """False when too few sessions were held out, so that all speak."""


def load_corpus(directory: Path, *, seed: int, near_speakers: int | None = None) -> Corpus:
    """UserMistake when `directory` is not laid out like shared/audio, or holds too little."""
    if not directory.is_dir():
        what = "is not a folder" if directory.exists() else "no such folder"
        raise UserMistake(f"{directory}: {what}; give the folder that holds phone_calls/")
    rng = np.random.default_rng(seed)
    near, is_held_out = _near(directory / "phone_calls", rng, near_speakers)
    far = _far(directory, rng)
    own = Prompts(EspeakVoice())
    product = tuple(own.render((text,)) for text in PROMPTS)
    return Corpus((product, *far), near, is_held_out)


def speech_onset(samples: NDArray[np.float32]) -> tuple[int, int] | None:
    """(first, end) sample of the speech in a clean recording, by energy; None without any.

    The onset is the first frame of 10 ms from which 9 of 10 frames are within 18 dB of the active
    level and 10 dB above the recording's background (its quietest tenth): a smack of the lips or
    a breath before the word is none. On the 724 keywords of the sessions not held out it lies
    within -14 and +75 ms of the label (p5, p95), 6 ms late in the median.
    """
    frames = samples[: len(samples) // ONSET_FRAME * ONSET_FRAME].reshape(-1, ONSET_FRAME)
    if len(frames) < ONSET_OF or not np.any(samples):
        return None
    level_db = 10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=1) + 1e-12)
    active_db = 20 * np.log10(active_rms(samples))
    background_db = min(float(np.percentile(level_db, 10)) + ONSET_MARGIN_DB, active_db - 6)
    is_loud = level_db > max(active_db - ONSET_RANGE_DB, background_db)
    count = np.convolve(is_loud, np.ones(ONSET_OF, int))[ONSET_OF - 1 :]
    found = np.flatnonzero(is_loud & (count >= ONSET_FRAMES))
    if not len(found):
        return None
    return int(found[0]) * ONSET_FRAME, (int(np.flatnonzero(is_loud)[-1]) + 1) * ONSET_FRAME


def prompt_of(text: str, samples: NDArray[np.float32]) -> SpokenPrompt:
    """Speech at the level of the bot's prompts; its words as if all letters took the same time
    (0.4 s a word where the text is not known)."""
    level = active_rms(samples)
    scaled = samples * (10 ** (BOT_DBFS / 20) / level) if level > 0 else samples
    text = text or " ".join(["word"] * max(1, round(len(samples) / (0.4 * SAMPLE_RATE_HZ))))
    stops = [index for index, char in enumerate(f"{text} ") if char == " "]
    ends = tuple(PhraseEnd(len(samples) * stop // len(text), stop) for stop in stops)
    return SpokenPrompt(text, mulaw.encode(to_int16(np.clip(scaled, -PEAK, PEAK))), ends)


# ---------------------------------------------------------------- callers


def _near(
    folder: Path, rng: np.random.Generator, speakers: int | None
) -> tuple[tuple[NearClip, ...], bool]:
    rows = [r for r in _rows(folder / "transcripts.jsonl") if r.get("text")]
    sessions = _by(rows, "session", folder / "transcripts.jsonl")
    held_out = {
        name: of for name, of in sessions.items() if not zlib.crc32(name.encode()) % HELD_OUT
    }
    is_held_out = len(held_out) >= MIN_SPEAKERS
    chosen = held_out if is_held_out else sessions
    if len(chosen) < MIN_SPEAKERS:
        raise UserMistake(
            f"{folder}: recordings of {len(chosen)} caller(s), and at least {MIN_SPEAKERS} are "
            "needed; give the whole corpus"
        )
    clips: list[NearClip] = []
    for name in _mixed(chosen, rng)[:speakers]:
        of = [row for row in chosen[name] if row.get("kind") in {"sentence", "keyword"}]
        for index in rng.permutation(len(of))[:4]:
            clips += _clip(folder, of[int(index)])
    if not clips:
        raise UserMistake(f"{folder}: no sentence or keyword holds speech; give real recordings")
    order = rng.permutation(len(clips))
    return tuple(clips[int(index)] for index in order), is_held_out


def _mixed(sessions: dict[str, list[dict[str, Any]]], rng: np.random.Generator) -> list[str]:
    """Session names, a landline, a cell phone and a speakerphone in turns."""
    names = sorted(sessions)
    names = [names[int(index)] for index in rng.permutation(len(names))]
    seen: dict[str, int] = {}
    rank: dict[str, tuple[int, str]] = {}
    for name in names:
        phone = str(sessions[name][0].get("phone", ""))
        seen[phone] = seen.get(phone, 0) + 1
        rank[name] = (seen[phone], phone)
    return sorted(names, key=rank.__getitem__)


def _clip(folder: Path, row: dict[str, Any]) -> Iterator[NearClip]:
    samples = _telephone(folder / str(row["file"]))
    span = speech_onset(samples)
    if span is not None:
        begin, end = max(0, span[0] - CLIP_MARGIN), span[1] + CLIP_MARGIN
        phone, speech = str(row.get("phone", "")), (span[0] - begin, span[1] - begin)
        yield NearClip(str(row["session"]), phone, str(row["text"]), samples[begin:end], *speech)


# ---------------------------------------------------------------- the bot


def _far(directory: Path, rng: np.random.Generator) -> Iterator[tuple[SpokenPrompt, ...]]:
    folder, speakers = _far_speakers(directory)
    if not speakers:
        raise UserMistake(f"{folder}: names no recordings; give real voices for the bot")
    names = sorted(speakers)
    for index in rng.permutation(len(names))[:FAR_VOICES]:
        yield tuple(_prompts(folder, speakers[names[int(index)]][:SENTENCES_A_VOICE]))


def _far_speakers(directory: Path) -> tuple[Path, dict[str, list[tuple[str, str]]]]:
    """The folder, and (file, text) of each speaker."""
    sentences, orders = directory / "read_sentences", directory / "barista"
    if sentences.is_dir():
        index = sentences / "transcripts.jsonl"
        rows = [row for row in _rows(index) if row.get("age", ADULT) >= ADULT]
        by_speaker = _by(rows, "speaker", index)
        return sentences, {
            name: [(str(row["file"]), str(row.get("text", ""))) for row in of]
            for name, of in by_speaker.items()
        }
    if orders.is_dir():  # who speaks is not told: each stretch of files counts as a voice
        files = [(path.name, "") for path in sorted(orders.glob("*.flac"))]
        step = SENTENCES_A_VOICE
        return orders, {
            f"{at:05}": files[at : at + step] for at in range(0, len(files) - step + 1, step)
        }
    raise UserMistake(f"{directory}: holds neither read_sentences/ nor barista/; give one of them")


def _prompts(folder: Path, files: Sequence[tuple[str, str]]) -> Iterator[SpokenPrompt]:
    """Sentences joined until a prompt is long enough to be interrupted."""
    texts: list[str] = []
    parts: list[NDArray[np.float32]] = []
    for name, text in files:
        samples = _telephone(folder / name)
        span = speech_onset(samples)
        if span is not None:
            texts.append(text)
            parts.append(samples[max(0, span[0] - 160) : span[1] + 320])
        if sum(map(len, parts)) >= MIN_PROMPT_S * SAMPLE_RATE_HZ:
            yield prompt_of(" ".join(texts).strip(), np.concatenate(parts))
            texts, parts = [], []
    if parts:
        yield prompt_of(" ".join(texts).strip(), np.concatenate(parts))


# ---------------------------------------------------------------- files


def _telephone(path: Path) -> NDArray[np.float32]:
    samples, rate = read_audio(path)
    return resample(samples, rate, SAMPLE_RATE_HZ)


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserMistake(
            f"{path}: cannot be read ({error.strerror}); give a folder laid out like shared/audio"
        ) from None
    except UnicodeDecodeError:
        raise UserMistake(f"{path}: is not text; give the corpus's own transcripts.jsonl") from None
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserMistake(f"{path}:{number}: is not JSON ({error.msg}); mend it") from None
        if not isinstance(row, dict) or not isinstance(row.get("file"), str):
            raise UserMistake(f'{path}:{number}: has no "file"; each line names a recording')
        rows.append(row)
    return rows


def _by(rows: Sequence[dict[str, Any]], key: str, path: Path) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if not isinstance(row.get(key), str):
            raise UserMistake(f'{path}: {row["file"]} has no "{key}"; it says who speaks')
        groups.setdefault(row[key], []).append(row)
    return groups
