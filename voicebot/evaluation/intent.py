"""`voicebot eval intent`: are a caller's intent and every slot understood, in noise?

The procedure of Picovoice's public speech-to-intent benchmark (as its README gives it), on what
the telephone leaves of its recordings: a random stretch of noise is added at 16 kHz, scaled by
sqrt(max frame power of speech / (max frame power of noise * 10^(SNR/10))) with frames of 2048
samples; the sum is divided by twice its peak; then 8 kHz mu-law. An item counts only when the
intent and every slot are right. Where a random stretch begins depends on the recording's name and
the SNR alone, so that runs can be compared.

The recogniser is given the Expectation with which the plan begins, the interpreter its n-best
list; nothing else is known to either. `--held-out` leaves out the recordings that the weights were
trained on (asr_trained.json), and the noise's first two thirds; without it the noise may be some
that training heard, of the recordings under `held_out` too.

Keys of --json:

    acceptance          SNR in dB (as text) -> share of items with intent and every slot right
    mean, ci95          mean of those over the SNRs; [low, high], bootstrap by recording
    intent_mean         share of items whose intent alone is right
    slots_mean          share of slots that are right, of those wanted or filled
    held_out, known     {items, acceptance, mean}: recordings that no training saw, and those that
                        one did see, apart; null where there are none
    items, snrs_db      how many recordings, at which SNRs
    left_out            how many more hold no readable audio; a line on stderr names each
    unknown             labels that the plan has no counterpart for, and how many
    audio_s, cpu_s, rtf length of what was heard, the recogniser's CPU time, the quotient
    wrong               [{file, snr_db, heard, got, wanted}] of each item that was not right
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.files import read_audio
from voicebot.audio.resample import resample
from voicebot.dialogue.plan import load_plan
from voicebot.errors import AudioFileError, UserMistake
from voicebot.evaluation.asr_corpus import was_heard
from voicebot.evaluation.asr_hearing import RECOGNISER_HZ, Ear, on_stderr, over_telephone
from voicebot.evaluation.intent_labels import Request, Requests, meaning_of
from voicebot.evaluation.intent_result import IntentResult, Outcome
from voicebot.nlu.interpreter import interpret

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.asr.recogniser import Recogniser

    Signal = NDArray[np.float32]

SNRS_DB = (6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0)
QUICK_ITEMS, QUICK_SNRS = 24, 2
FRAME = 2048
TODAY = date(2026, 1, 5)
"""No plan measured here asks for dates; a fixed day keeps runs alike."""
AT_ONCE = 8
UNHEARD_NOISE = 2 / 3
"""Training took its kitchen noise from the first two thirds of the recording."""


def run(
    directory: Path,
    *,
    recogniser: Recogniser,
    dialplan: Path,
    noise: Path,
    snrs_db: Sequence[float] = SNRS_DB,
    held_out: bool = False,
    quick: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = on_stderr,
) -> IntentResult:
    """Every recording at every SNR; `quick`: some, at the lowest and the highest SNR.

    `warn` is given a line for every recording that cannot be read; it is left out.
    """
    expectation = load_plan(dialplan).expectation(None)
    requests = Requests(expectation).read(directory)
    if held_out:
        requests = [request for request in requests if not _is_known(request)]
        if not requests:
            raise UserMistake(f"eval intent: training saw all recordings of {directory}")
    sound = _noise(noise, only_unheard=held_out)
    if quick:
        requests = sorted(requests, key=lambda r: zlib.crc32(r.path.stem.encode()))[:QUICK_ITEMS]
        snrs_db = sorted({min(snrs_db), max(snrs_db)})
    ear = Ear(recogniser)
    outcomes: list[Outcome] = []
    left_out = 0
    for begin in range(0, len(requests), AT_ONCE):
        some = requests[begin : begin + AT_ONCE]
        tell(f"recording {begin + 1} of {len(requests)}, each at {len(snrs_db)} SNRs")
        speech = [(request, _read(request)) for request in some]
        broken = [f"{one}; left out" for _, one in speech if isinstance(one, str)]
        for problem in broken:
            warn(problem)
        left_out += len(broken)
        asked = [
            (request, snr, one)
            for request, one in speech
            if not isinstance(one, str)
            for snr in snrs_db
        ]
        audio = [
            over_telephone(mixed(s, sound, snr, _seed(request, snr)), RECOGNISER_HZ)
            for request, snr, s in asked
        ]
        for (request, snr, _), heard in zip(asked, ear.hear(audio, expectation), strict=True):
            found = interpret(heard, expectation, today=TODAY)
            intent, slots = meaning_of(found, expectation)
            outcomes.append(Outcome(request, snr, heard.text, intent, slots, _is_known(request)))
    if not outcomes:
        raise UserMistake(f"eval intent: none of the recordings of {directory} can be read")
    return IntentResult(outcomes, ear.audio_s, ear.cpu_s, left_out)


def mixed(speech: Signal, noise: Signal, snr_db: float, seed: int) -> Signal:
    """The benchmark's mixing (module docstring), float32 at 16 kHz; shorter noise is repeated."""
    at = int(np.random.default_rng(seed).integers(0, max(1, len(noise) - len(speech) + 1)))
    stretch = np.resize(noise[at : at + len(speech)], len(speech))
    loudest_noise = max(_max_frame_power(stretch), 1e-12)
    scale = np.sqrt(_max_frame_power(speech) / (loudest_noise * 10 ** (snr_db / 10)))
    both = speech + stretch * np.float32(scale)
    return np.asarray(both / (2 * max(float(np.abs(both).max(initial=0.0)), 1e-6)), np.float32)


def _max_frame_power(signal: Signal) -> float:
    whole = signal[: len(signal) // FRAME * FRAME]
    frames = whole.reshape(-1, FRAME) if len(whole) else signal[None, :]
    return float(np.square(frames, dtype=np.float64).sum(axis=1).max(initial=0.0))


def _seed(request: Request, snr_db: float) -> int:
    return zlib.crc32(f"{request.path.stem} {snr_db:g}".encode())


def _is_known(request: Request) -> bool:
    return was_heard(request.path)


def _read(request: Request) -> Signal | str:
    """The recording, or what is wrong with it."""
    try:
        samples, rate = read_audio(request.path)
    except AudioFileError as error:
        return str(error)
    return resample(samples, rate, RECOGNISER_HZ)


def _noise(path: Path, *, only_unheard: bool) -> Signal:
    try:
        samples, rate = read_audio(path)
    except AudioFileError as error:
        raise UserMistake(f"eval intent --noise: {error}") from None
    sound = resample(samples, rate, RECOGNISER_HZ)
    return sound[int(UNHEARD_NOISE * len(sound)) :] if only_unheard else sound
