"""The cells of the echo matrix, and the calls that are made in each (turns.md, Echo matrix).

Two calls in each cell: one in which only the bot speaks, and one in which a caller interrupts
every prompt. Each call has a seed of its own, by which voices, pauses, rooms and noise are drawn.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.echo_path import Codec, EchoPath, Loudspeaker
from voicebot.audio.pcm import to_float
from voicebot.evaluation.echo_corpus import Corpus, NearClip
from voicebot.evaluation.echo_network import NETWORKS, TELEPHONES, Network
from voicebot.evaluation.virtual_call import BotTurn, Telephone
from voicebot.events import SAMPLE_RATE_HZ, BargeInMode, Expectation, SpokenPrompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

ERLS_DB = (20, 10, 0, -6)
DELAYS_MS = (50, 300, 500, 800)
KINDS = ("mulaw", "gsm", "saturated")
STEPS_MS = (0, 60, -60, 180)
NOISE_DBFS = -62.0
"""A quiet line: mu-law's own noise at the level of a pause."""
FIRST_TURN_S = 0.5
PAUSE_S = (1.2, 2.2)
"""Between prompts; a dialogue would wait for an answer, which is not always given."""
STEP_BEFORE_S = 0.2
"""The delay changes so long before a prompt begins, while nothing plays."""
INTERRUPT_AFTER_S = 1.0
AFTER_CALLER_S = 2.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of telephone. `step_ms`: the delay alternates by so much between prompts.

    What is drawn for a call does not depend on the network.
    """

    erl_db: int
    delay_ms: int
    kind: str = "mulaw"
    step_ms: int = 0
    network: Network = field(default=Network(), repr=False)

    def path(self, seed: int, between: Sequence[int], seconds: float = 0.0) -> EchoPath:
        """`between`: samples at which the delay changes. `seconds`: how long the call lasts."""
        # A step down is taken from a delay that is longer by so much, so that none is negative.
        longer = max(0, -self.step_ms)
        signs = itertools.cycle((1, -1))
        steps = [(at, sign * self.step_ms) for at, sign in zip(between, signs, strict=False)]
        codec: Codec = "gsm" if self.kind == "gsm" else "mulaw"
        loudspeaker: Loudspeaker = "saturated" if self.kind == "saturated" else "linear"
        return EchoPath(
            erl_db=self.erl_db,
            delay_ms=self.delay_ms + longer,
            loudspeaker=loudspeaker,
            codec=codec,
            steps=(steps if self.step_ms else []) + self.network.jumps(seconds),
            drift_ppm=self.network.drift_ppm,
            seed=seed,
        )


def matrix(*, quick: bool) -> list[Cell]:
    """All 192 cells; `quick`: 16 of them, in which every value occurs."""
    if not quick:
        every = itertools.product(ERLS_DB, DELAYS_MS, KINDS, STEPS_MS)
        return [Cell(*values) for values in every]
    # A Latin square: each ERL meets each delay, kinds and steps go round.
    return [
        Cell(erl, delay, KINDS[(row + column) % 3], STEPS_MS[(row + 3 * column) % 4])
        for row, erl in enumerate(ERLS_DB)
        for column, delay in enumerate(DELAYS_MS)
    ]


def networks(*, quick: bool) -> list[Cell]:
    """Every network with every telephone of TELEPHONES; `quick`: with one of them."""
    return [
        Cell(erl, delay, kind, network=network)
        for number, network in enumerate(NETWORKS)
        for erl, delay, kind in (TELEPHONES[number % 4 :][:1] if quick else TELEPHONES)
    ]


@dataclass(frozen=True, slots=True)
class Interruption:
    """The caller speaks over a prompt: speech in [onset, end) of the call."""

    onset: int
    end: int
    clip: NearClip


@dataclass(slots=True)
class Scene:
    """What will be said in one call, and its telephone."""

    cell: Cell
    telephone: Telephone
    turns: list[BotTurn]
    caller: NDArray[np.float32]  # alone, with the noise of the line
    interruptions: list[Interruption] = field(default_factory=list)


def seed_of(cell: Cell, what: str, seed: int) -> int:
    """Of a call; the same on every machine."""
    return zlib.crc32(f"{cell} {what} {seed}".encode())


def scene(cell: Cell, corpus: Corpus, *, seconds: float, seed: int, is_double_talk: bool) -> Scene:
    """A call of that length in this cell."""
    seed = seed_of(cell, "double talk" if is_double_talk else "echo", seed)
    rng = np.random.default_rng(seed)
    samples = int(seconds * SAMPLE_RATE_HZ)
    own, other = corpus.voices[0], corpus.voices[1 + int(rng.integers(len(corpus.voices) - 1))]
    turns: list[BotTurn] = []
    interruptions: list[Interruption] = []
    caller = _line_noise(samples, rng)
    at = int(FIRST_TURN_S * SAMPLE_RATE_HZ)
    while True:
        prompt = _any(own if len(turns) % 2 else other, rng)
        end = at + len(prompt.mulaw)
        if is_double_talk:
            clip = corpus.near[int(rng.integers(len(corpus.near)))]
            room = max(0.0, len(prompt.mulaw) / SAMPLE_RATE_HZ - 2 * INTERRUPT_AFTER_S)
            after_s = INTERRUPT_AFTER_S + rng.uniform(0, room)
            onset = at + cell.network.round_trip + _samples(after_s)
            begin = onset - clip.onset
            end = max(end, begin + clip.end)
        if end + _samples(AFTER_CALLER_S) > samples:
            break
        if is_double_talk:
            interruptions.append(Interruption(onset, begin + clip.end, clip))
            _add(caller, begin, clip.samples)
        turns.append(BotTurn(at, (prompt,), Expectation(state="echo")))
        pause_s = AFTER_CALLER_S if is_double_talk else rng.uniform(*PAUSE_S)
        at = end + _samples(pause_s)
    steps = [turn.at - _samples(STEP_BEFORE_S) for turn in turns[1:]]
    voice = np.concatenate([_sound(turn.prompts[0]) for turn in turns])
    telephone = Telephone(
        caller,
        path=cell.path(seed, steps, seconds),
        voice=voice,
        round_trip=cell.network.round_trip,
        mark_jitter_ms=cell.network.mark_jitter_ms,
        marks_late_ms=cell.network.marks_late_ms,
        marks_lost=cell.network.marks_lost,
        media_jitter_ms=cell.network.media_jitter_ms,
        seed=seed,
    )
    return Scene(cell, telephone, turns, caller, interruptions)


def steady_scene(cell: Cell, corpus: Corpus, voice: int, *, seconds: float, seed: int) -> Scene:
    """One voice speaks from the beginning, and nothing interrupts it, for ERLE."""
    rng = np.random.default_rng(seed_of(cell, f"steady {voice}", seed))
    samples = int(seconds * SAMPLE_RATE_HZ)
    prompts = itertools.cycle(corpus.voices[voice % len(corpus.voices)])
    spoken = b""
    while len(spoken) < samples:
        spoken += next(prompts).mulaw
    prompt = SpokenPrompt("", spoken[:samples])
    caller = _line_noise(samples, rng)
    path = cell.path(int(rng.integers(1 << 31)), ())
    telephone = Telephone(caller, path=path, voice=_sound(prompt))
    turns = [BotTurn(0, (prompt,), Expectation(barge_in=BargeInMode.NONE))]
    return Scene(cell, telephone, turns, caller)


def _any(prompts: Sequence[SpokenPrompt], rng: np.random.Generator) -> SpokenPrompt:
    return prompts[int(rng.integers(len(prompts)))]


def _sound(prompt: SpokenPrompt) -> NDArray[np.float32]:
    return to_float(mulaw.decode(prompt.mulaw))


def _line_noise(samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    noise = rng.standard_normal(samples, np.float32)
    return noise * np.float32(10 ** (NOISE_DBFS / 20))


def _add(caller: NDArray[np.float32], begin: int, clip: NDArray[np.float32]) -> None:
    """The recording's own noise comes and goes with it: faded within 50 ms."""
    fade = min(len(clip) // 2, SAMPLE_RATE_HZ // 20)
    ramp = np.ones(len(clip), np.float32)
    ramp[:fade] = np.linspace(0, 1, fade)
    ramp[len(clip) - fade :] = np.linspace(1, 0, fade)
    end = min(len(caller), begin + len(clip))
    caller[begin:end] += (clip * ramp)[: end - begin]


def _samples(seconds: float) -> int:
    return int(seconds * SAMPLE_RATE_HZ)
