"""`voicebot eval echo`: does the bot interrupt itself, and does it hear who interrupts it?

Real voices and the product's own are sent through simulated telephones (echo_matrix, with the
measures of turns.md) to the product's real parts (virtual_call). What is counted, and how:

- self-barge-in: `BargeIn` while only the bot speaks, per minute in which the bot is heard;
  pauses: `BargeInCandidate`, at which the prompt stops until they are rejected;
- echo words: words of the turns that the dialogue was given though nobody spoke, recognised by
  the product's recogniser, per minute likewise;
- ERLE: power of what came in over power of what the canceller left, from 2 to 3 s after the
  bot's first word, given a true reference (in the matrix it is what the playout believes);
- double talk: from the onset of the caller's speech (by energy on the clean recording,
  echo_corpus.speech_onset) until the candidate is known. No candidate within 1 s is a miss. One
  that the echo alone had raised before the onset shows nothing: such interruptions, and those of
  prompts already cut, are left out and counted (`double_talk_spoiled`). Callers are as loud as
  recorded, some 30 dB below the loudest echoes: the table tells misses by that level too;
- fidelity: power of the caller alone over power of what the canceller made different, within
  1 s of the onset, where there is echo.

Calls over poorer networks than that of the matrix (echo_network) are counted apart.

In double talk a stand-in answers for the recogniser with the words that were said, so that the
figures are those of hearing alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.echo_path import active_rms
from voicebot.audio.pcm import to_float
from voicebot.evaluation.echo_corpus import Corpus, load_corpus
from voicebot.evaluation.echo_matrix import (
    Cell,
    Interruption,
    Scene,
    matrix,
    networks,
    scene,
    steady_scene,
)
from voicebot.evaluation.echo_result import ERLE_ERLS_DB, CellResult, EchoResult, Noticed
from voicebot.evaluation.parts import make_listener, make_runner
from voicebot.evaluation.virtual_call import VirtualCall, VirtualCalls
from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInRejected,
    CallerTurn,
    Hypothesis,
    Word,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.asr.recogniser import Recogniser
    from voicebot.engine.runner import Runner
    from voicebot.engine.scheduler import Job

SEED = 3
SLOTS = 64
"""Calls in one batch."""
ECHO_S, DOUBLE_TALK_S = 42.0, 44.0
QUICK_NEAR_SPEAKERS = 8
ERLE_DELAYS_MS = tuple(range(0, 1501, 100))
ERLE_VOICES = 3
ERLE_FROM_S, ERLE_TO_S = 2.0, 3.0
MISS_MS = 1000.0
EARLY_MS = 200.0
"""A candidate so long before the onset by energy heard the breath before the word."""
FIDELITY_S = 1.0
ECHO_RMS = 1e-3  # -60 dBFS, below which a chunk holds no echo worth the name


def run(
    directory: Path,
    *,
    recogniser: Recogniser,
    quick: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    make: Callable[[int, Recogniser], Runner] = make_runner,
) -> EchoResult:
    """The whole matrix and all networks, some minutes; `quick`: 16 cells of each, one minute.

    `tell` is given a line of progress now and then. `make(slots, recogniser)` builds what is
    measured. UserMistake when `directory` is not laid out like shared/audio.
    """
    tell("reading the recordings")
    corpus = load_corpus(directory, seed=SEED, near_speakers=QUICK_NEAR_SPEAKERS if quick else None)
    results = [CellResult(cell) for cell in matrix(quick=quick)]
    network = [CellResult(cell) for cell in networks(quick=quick)]
    every = results + network
    batches = [every[at : at + SLOTS] for at in range(0, len(every), SLOTS)]
    runner = make(SLOTS, recogniser)
    for number, batch in enumerate(batches, 1):
        where = f"batch {number} of {len(batches)}"
        _measure_echo(runner, corpus, batch, partial(_say, tell, f"echo alone, {where}"))
        _measure_double_talk(runner, corpus, batch, partial(_say, tell, f"double talk, {where}"))
    erle = _measure_erle(runner, corpus, tell, voices=1 if quick else ERLE_VOICES)
    speakers = len({clip.speaker for clip in corpus.near})
    return EchoResult(tuple(results), erle, speakers, corpus.is_held_out, tuple(network))


Seconds = Callable[[int], None]


def _say(tell: Callable[[str], None], what: str, seconds: int) -> None:
    tell(f"{what}, {seconds} s")


def _measure_echo(
    runner: Runner, corpus: Corpus, results: Sequence[CellResult], tell: Seconds
) -> None:
    """Only the bot speaks: whatever is noticed is false."""
    scenes = [
        scene(r.cell, corpus, seconds=ECHO_S, seed=SEED, is_double_talk=False) for r in results
    ]
    calls = [_call(of) for of in scenes]
    VirtualCalls(runner, calls).run(int(ECHO_S * SAMPLE_RATE_HZ), tell)
    for result, call in zip(results, calls, strict=True):
        result.bot_s += call.telephone.bot_seconds
        for note in call.notes:
            match note.event:
                case BargeIn():
                    result.self_barge_ins += 1
                case BargeInCandidate():
                    result.pauses += 1
                case CallerTurn(hypothesis=heard):
                    result.false_turns += 1
                    result.echo_words += len(heard.text.split())


def _measure_double_talk(
    runner: Runner, corpus: Corpus, results: Sequence[CellResult], tell: Seconds
) -> None:
    """A caller interrupts every prompt."""
    scenes = [
        scene(r.cell, corpus, seconds=DOUBLE_TALK_S, seed=SEED, is_double_talk=True)
        for r in results
    ]
    calls = [_call(of) for of in scenes]
    samples = int(DOUBLE_TALK_S * SAMPLE_RATE_HZ)
    clean = Clean(runner, len(calls), samples)
    VirtualCalls(runner, calls, recognise=StandIn(scenes).recognise, after_step=clean.keep).run(
        samples, tell
    )
    for row, (result, of, call) in enumerate(zip(results, scenes, calls, strict=True)):
        for interruption in of.interruptions:
            _judge(result, call, interruption)
            fidelity = _fidelity(of, interruption, clean.samples[row])
            result.fidelity_db += [] if fidelity is None else [fidelity]


def _measure_erle(
    runner: Runner, corpus: Corpus, tell: Callable[[str], None], *, voices: int
) -> dict[tuple[int, int], float]:
    """Echo return loss enhancement 2 s after the bot began, the powers of some voices summed."""
    cells = [Cell(erl, delay) for erl in ERLE_ERLS_DB for delay in ERLE_DELAYS_MS]
    samples = int((ERLE_TO_S + 1) * SAMPLE_RATE_HZ)
    powers = np.zeros((len(cells), 2))
    for voice in range(voices):
        tell(f"ERLE, voice {voice + 1} of {voices}")
        scenes = [
            steady_scene(cell, corpus, voice, seconds=samples / SAMPLE_RATE_HZ, seed=SEED)
            for cell in cells
        ]
        calls = [_call(of) for of in scenes]
        clean = Clean(runner, len(calls), samples)
        VirtualCalls(
            runner,
            calls,
            recognise=StandIn(scenes).recognise,
            is_reference_true=True,
            after_step=clean.keep,
        ).run(samples)
        for row, call in enumerate(calls):
            began = call.telephone.bot_began() or 0
            begin, end = (began + int(s * SAMPLE_RATE_HZ) for s in (ERLE_FROM_S, ERLE_TO_S))
            near = to_float(mulaw.decode(bytes(call.telephone.sent[begin:end])))
            powers[row] += np.sum(near**2), np.sum(clean.samples[row, begin:end] ** 2)
    erle = 10 * np.log10(powers[:, 0] / np.maximum(powers[:, 1], 1e-9))
    return {
        (cell.erl_db, cell.delay_ms): float(value) for cell, value in zip(cells, erle, strict=True)
    }


def _call(of: Scene) -> VirtualCall:
    return VirtualCall(make_listener, of.telephone, of.turns)


class Clean:
    """What the Runner made of each call's audio, kept as it advances."""

    STEP = SAMPLE_RATE_HZ

    def __init__(self, runner: Runner, calls: int, samples: int) -> None:
        self._runner = runner
        self._done = 0
        self.samples: NDArray[np.float32] = np.zeros((calls, samples), np.float32)

    def keep(self, now: int) -> None:
        """Once a second, and at the end."""
        if now - self._done < self.STEP and now < self.samples.shape[1]:
            return
        for row, of in enumerate(self.samples):
            of[self._done : now] = to_float(self._runner.span(row, self._done, now))
        self._done = now


class StandIn:
    """Answers for the recogniser with what was said in the span asked for."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes = scenes

    def recognise(self, jobs: Iterable[Job]) -> list[Hypothesis]:
        """The share of a caller's words that the span holds of his speech."""
        return [self._one(job) for job in jobs]

    def _one(self, job: Job) -> Hypothesis:
        words: list[str] = []
        for said in self._scenes[job.slot].interruptions:
            overlap = min(job.end_at, said.end) - max(job.start_at, said.onset)
            share = overlap / (said.end - said.onset)
            if share > 0:
                of = said.clip.text.split()
                words += of[: round(share * len(of))]
        spoken = tuple(Word(word, 0.9) for word in words)
        return Hypothesis(" ".join(words), spoken, 0.9 if words else 0.0)


def _judge(result: CellResult, call: VirtualCall, said: Interruption) -> None:
    """When the interruption was noticed."""
    early = said.onset - int(EARLY_MS * SAMPLE_RATE_HZ / 1000)
    is_pending = False
    for note in call.notes:
        if note.now >= early:
            break
        match note.event:
            case BargeInCandidate():
                is_pending = True
            case BargeInRejected() | BargeIn():
                is_pending = False
    if is_pending or not call.telephone.is_bot_heard(early, said.onset):
        result.spoiled += 1
        return
    noticed = (
        (note.now - said.onset) * 1000 / SAMPLE_RATE_HZ
        for note in call.notes
        if note.now >= early and isinstance(note.event, BargeInCandidate | BargeIn)
    )
    latency = max(0.0, next(noticed, inf))
    before = call.telephone.echo[max(0, said.onset - SAMPLE_RATE_HZ) : said.onset]
    over_db = 20 * np.log10(active_rms(said.clip.samples) / max(active_rms(before), ECHO_RMS / 10))
    result.noticed.append(Noticed(latency if latency <= MISS_MS else inf, float(over_db)))


def _fidelity(of: Scene, said: Interruption, clean: NDArray[np.float32]) -> float | None:
    """Decibel; None where there was no echo to remove."""
    span = slice(said.onset, min(said.end, said.onset + int(FIDELITY_S * SAMPLE_RATE_HZ)))
    echo, near, heard = of.telephone.echo[span], of.caller[span], clean[span]
    frame = SAMPLE_RATE_HZ // 50
    frames = len(echo) // frame
    power = np.mean(echo[: frames * frame].reshape(frames, frame) ** 2, axis=1)
    is_echo = np.repeat(power > ECHO_RMS**2, frame)
    if is_echo.sum() < 10 * frame:
        return None
    near, heard = near[: frames * frame][is_echo], heard[: frames * frame][is_echo]
    return float(10 * np.log10(np.sum(near**2) / max(float(np.sum((heard - near) ** 2)), 1e-9)))
