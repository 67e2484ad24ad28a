"""Simulated calls for the near-end detector: what came in, and when the caller really spoke.

A bot reads prompts into an EchoPath with a random telephone, room and line; in some calls a
caller talks, over the bot or between prompts, in others nobody does, in some there is no echo.
Nothing here hears anything: near_end_hearing.py runs the product's canceller over these calls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.echo_path import Codec, EchoPath, Loudspeaker, active_rms
from voicebot.audio.pcm import to_float
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.learning.near_end_corpus import Signal, Voices, hum, music

CALL_SAMPLES = 20 * SAMPLE_RATE_HZ
"""A multiple of 1280 samples, in which chunks of 160 and windows of 256 both fit."""
STEPS_MS = (-60.0, 60.0, 180.0)
NO_ECHO_ERL_DB = 90.0
CALLER_DBFS, MATRIX_CALLER_DBFS = (-43, -14), (-43, -18)
"""How loud callers are: recordings of telephones lie between -43 and -20 dBFS."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """A telephone and who is heard on it; `erl_db` NO_ECHO_ERL_DB: a handset."""

    erl_db: float
    delay_ms: float
    rt60_s: float
    loudspeaker: Loudspeaker
    codec: Codec
    has_steps: bool
    has_caller: bool
    drive_db: float = 0.0
    drift_ppm: float = 0.0
    caller_dbfs: float = -22.0
    noise_dbfs: float = -65.0
    noise: str = "white"
    damage: str = ""
    steps_anywhere: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """float32[samples] each, one clock: received (after mu-law), sent, and the caller alone."""

    near: Signal
    far: Signal
    caller: Signal
    circumstances: Circumstances
    steps_at: tuple[int, ...] = ()


def any_circumstances(rng: np.random.Generator) -> Circumstances:
    """What training sees: wider than any mark asks for."""
    has_echo = rng.random() < 0.88
    is_rare = rng.random(4) < (0.1, 0.1, 0.25, 0.2)
    return Circumstances(
        erl_db=float(rng.uniform(-9, 30)) if has_echo else NO_ECHO_ERL_DB,
        delay_ms=float(rng.choice([rng.uniform(20, 400), rng.uniform(0, 1300)])),
        rt60_s=float(rng.uniform(0.08, 0.5)),
        loudspeaker="saturated" if rng.random() < 0.45 else "linear",
        codec="gsm" if rng.random() < 0.35 else "mulaw",
        has_steps=bool(rng.random() < 0.5),
        has_caller=bool(rng.random() < 0.5) or not has_echo,
        drive_db=float(rng.uniform(-6, 6)),
        drift_ppm=float(rng.uniform(-200, 200)) if is_rare[0] else 0.0,
        caller_dbfs=float(rng.uniform(*CALLER_DBFS)),
        noise_dbfs=float(rng.uniform(-75, -42)),
        noise=str(rng.choice(["white", "kitchen", "music", "hum"])) if is_rare[2] else "white",
        damage=str(rng.choice(["clipped", "inverted", "offset"])) if is_rare[1] else "",
        steps_anywhere=bool(is_rare[3]),
    )


def hard_circumstances(rng: np.random.Generator) -> Circumstances:
    """About the echo matrix, where callers are missed most often: weak ones in loud echo."""
    told = matrix_circumstances(rng, has_caller=bool(rng.random() < 0.6))
    return replace(
        told,
        erl_db=told.erl_db + float(rng.uniform(-3, 3)),
        delay_ms=told.delay_ms + float(rng.uniform(-30, 300)),
        rt60_s=float(rng.uniform(0.15, 0.35)),
        has_steps=bool(rng.random() < 0.7),
        drive_db=float(rng.uniform(-2, 2)),
        noise_dbfs=float(rng.uniform(-75, -52)),
    )


def training_circumstances(rng: np.random.Generator) -> Circumstances:
    """What the net learns from: half of anything, half of what is hard."""
    return any_circumstances(rng) if rng.random() < 0.5 else hard_circumstances(rng)


def matrix_circumstances(rng: np.random.Generator, *, has_caller: bool) -> Circumstances:
    """What the marks ask for: the echo matrix of the design page, one cell of it at random."""
    kinds: tuple[tuple[Codec, Loudspeaker], ...] = (
        ("mulaw", "linear"),
        ("gsm", "linear"),
        ("mulaw", "saturated"),
    )
    codec, loudspeaker = kinds[int(rng.integers(3))]
    return Circumstances(
        erl_db=float(rng.choice([20.0, 10.0, 0.0, -6.0])),
        delay_ms=float(rng.choice([50.0, 300.0, 500.0, 800.0])),
        rt60_s=0.25,
        loudspeaker=loudspeaker,
        codec=codec,
        has_steps=bool(rng.random() < 0.5),
        has_caller=has_caller,
        caller_dbfs=float(rng.uniform(*MATRIX_CALLER_DBFS)),
    )


def make_call(
    voices: Voices, told: Circumstances, rng: np.random.Generator, *, is_varied: bool = False
) -> Call:
    """One call of CALL_SAMPLES; the same `rng` state gives the same call. `is_varied`: each
    utterance sounds as if somebody else said it."""
    far, prompts = _bot(voices, rng)
    caller = np.zeros(CALL_SAMPLES, np.float32)
    if told.has_caller:
        spans = _talk(caller, voices, told.caller_dbfs, rng, is_varied=is_varied)
        if rng.random() < 0.4:
            _yield_to(far, spans, rng)
    steps = _steps(told, prompts, rng)
    drive = 10 ** (told.drive_db / 20)
    path = EchoPath(
        erl_db=told.erl_db + told.drive_db,  # driven louder, but coming back at the same level
        delay_ms=told.delay_ms,
        rt60_s=told.rt60_s,
        loudspeaker=told.loudspeaker,
        codec=told.codec,
        steps=steps,
        drift_ppm=told.drift_ppm,
        seed=int(rng.integers(1 << 31)),
    )
    echo = path.echo(np.clip(far * np.float32(drive), -1, 1))
    noise = _noise(voices, told, rng)
    near = _damage(echo + caller + noise, told.damage)
    received = to_float(mulaw.decode(path.mix(near)))
    return Call(received, far, caller, told, tuple(at for at, _ in steps))


def _bot(voices: Voices, rng: np.random.Generator) -> tuple[Signal, list[int]]:
    """What the bot sends, and where its prompts begin."""
    far = np.zeros(CALL_SAMPLES, np.float32)
    level = 10 ** (rng.choice([0.0, rng.uniform(-8, 4)]) / 20)
    bots = rng.permutation(len(voices.bots))
    at, begins = int(rng.uniform(0.2, 1.5) * SAMPLE_RATE_HZ), []
    for which in bots:
        prompt = voices.bots[int(which)]
        rms = active_rms(prompt)
        if at >= CALL_SAMPLES or rms == 0:
            break
        gain = level * 0.1 / rms  # -20 dBFS, as speech/telephone.py levels prompts
        fits = far[at : at + len(prompt)]
        coded = mulaw.encode(_int16(prompt[: len(fits)] * gain))
        fits[:] = to_float(mulaw.decode(coded))
        begins.append(at)
        at += len(prompt) + int(rng.uniform(0.3, 3.5) * SAMPLE_RATE_HZ)
    return far, begins


def _talk(
    caller: Signal, voices: Voices, dbfs: float, rng: np.random.Generator, *, is_varied: bool
) -> list[tuple[int, int]]:
    """Puts utterances into `caller`, in place; where each lies."""
    at, spans = int(rng.uniform(1.0, 6.0) * SAMPLE_RATE_HZ), []
    while at < len(caller):
        said = voices.callers[int(rng.integers(len(voices.callers)))][: 6 * SAMPLE_RATE_HZ]
        if is_varied:
            said = _varied(said, rng)
        rms = active_rms(said)
        if rms == 0:
            continue
        fits = caller[at : at + len(said)]
        fits += (said * (10 ** (dbfs / 20) / rms))[: len(fits)]
        spans.append((at, at + len(fits)))
        at += len(said) + int(rng.uniform(0.5, 6.0) * SAMPLE_RATE_HZ)
    return spans


def _varied(said: Signal, rng: np.random.Generator) -> Signal:
    """Another speaker on another telephone: pitch and pace bent, the spectrum tilted."""
    factor = rng.uniform(0.85, 1.18)
    at = np.arange(0, len(said) - 1, factor)
    bent: Signal = np.interp(at, np.arange(len(said)), said).astype(np.float32)
    tilt = np.float32(rng.uniform(-0.5, 0.5))
    bent[1:] += tilt * bent[:-1]
    return bent


def _yield_to(far: Signal, spans: list[tuple[int, int]], rng: np.random.Generator) -> None:
    """The bot stops some 0.3 to 1 s after the caller began, as it will when all works."""
    for begin, end in spans:
        far[begin + int(rng.uniform(0.5, 1.2) * SAMPLE_RATE_HZ) : end] = 0.0


def _steps(
    told: Circumstances, prompts: list[int], rng: np.random.Generator
) -> list[tuple[int, float]]:
    """Changes of the delay between prompts that leave it within what a phone does."""
    delay, steps = told.delay_ms, []
    for begin in prompts[1:] if told.has_steps else ():
        if told.steps_anywhere:
            begin += int(rng.uniform(0, 2) * SAMPLE_RATE_HZ)
        step = float(rng.choice([*STEPS_MS, -180.0, rng.uniform(-200, 250)]))
        if 0 <= delay + step <= 1450 and rng.random() < 0.7:
            steps.append((begin - int(0.1 * SAMPLE_RATE_HZ), step))
            delay += step
    return steps


def _noise(voices: Voices, told: Circumstances, rng: np.random.Generator) -> Signal:
    if told.noise == "kitchen":
        start = int(rng.integers(max(1, len(voices.noise) - CALL_SAMPLES)))
        noise = np.resize(voices.noise[start:], CALL_SAMPLES)
    elif told.noise == "music":
        noise = music(CALL_SAMPLES, rng)
    elif told.noise == "hum":
        noise = hum(CALL_SAMPLES, rng)
    else:
        noise = rng.standard_normal(CALL_SAMPLES).astype(np.float32)
    lift = 0.0 if told.noise == "white" else 20.0
    level = 10 ** (min(told.noise_dbfs + lift, -24) / 20)
    rms = float(np.sqrt(np.mean(np.square(noise)))) or 1.0
    return np.asarray(noise * (level / rms), np.float32)


def _damage(signal: Signal, damage: str) -> Signal:
    if damage == "clipped":
        return np.clip(signal * 8, -0.9, 0.9)
    if damage == "inverted":
        return -signal
    return signal + np.float32(0.1) if damage == "offset" else signal


def _int16(signal: Signal) -> NDArray[np.int16]:
    return np.asarray(np.clip(signal * 32768, -32768, 32767), np.int16)
