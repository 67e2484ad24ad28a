"""What reaches the telephone model, prepared on its device for a whole batch of calls.

The same as `utterance.prepare` and `confidence_features.Sound` do on the host for one after the
other: audio brought to 16 kHz, looked at for speech, short answers set in quiet. Fixed shapes,
nothing asked of the device, so that it is recorded with the encoder as one CUDA graph.

Shapes: R rows (utterances), n samples at 8 kHz, N at 16 kHz.
"""

from __future__ import annotations

import math

import numpy as np
import soxr
import torch
from torch import Tensor
from torch.nn import functional as F

from voicebot.asr import utterance
from voicebot.asr.confidence_features import SPEECH_DB
from voicebot.asr.moonshine import SAMPLE_RATE_HZ
from voicebot.asr.utterance import COMFORTABLE_SAMPLES, FRAME, MIN_LOUD_FRAMES, SILENCE, STEADY_DB

INPUT_HZ = SAMPLE_RATE_HZ // 2
REACH = 92
"""Input samples on either side that soxr's filter (high quality, 8 to 16 kHz) looks at."""
_BLOCK = 64
"""Input samples whose neighbourhood is multiplied by one matrix."""
_INT16 = 1 / 32768
_ZERO = 1e-4
"""Frames below are digital silence; as `utterance` and `confidence` have it."""
_MAX_FLOOR = 0.005


class TelephoneSound:
    """Constants of the preparation on a device."""

    def __init__(self, device: torch.device) -> None:
        self._upsampling = torch.from_numpy(_upsampling()).to(device)
        self._noise = torch.from_numpy(utterance._NOISE).to(device)

    def prepare(self, audio: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """audio int16[R, n] of counts int64[R] samples at 8 kHz -> what is encoded, float32[R, 2 n]
        at 16 kHz and zero beyond its length; lengths int64[R]; whether there is anything to hear,
        bool[R]; and of its sound seconds of speech, level and noise, float32[R, 3].

        n is a multiple of 64 and has room for `utterance.COMFORTABLE_SAMPLES`.
        """
        lengths = 2 * counts
        place = torch.arange(2 * audio.shape[1], device=audio.device)
        samples = self._doubled(audio, counts)
        samples = torch.where(place < lengths[:, None], samples, 0).clamp(-1, 1)
        levels, is_whole = _levels(samples, lengths)
        is_heard = is_whole & (levels > _ZERO)
        low, high = _spread(levels, is_heard)
        is_loud = (is_whole & (levels >= SILENCE)).sum(1) >= MIN_LOUD_FRAMES
        is_audible = is_loud & (high > low * 10 ** (STEADY_DB / 20))
        is_audible &= lengths >= utterance.MIN_SAMPLES
        floor = torch.where(is_heard.any(1), low.clamp(max=_MAX_FLOOR), 0)
        piece = self._in_quiet(samples, lengths, floor, is_whole & (levels < _ZERO))
        lengths = lengths.clamp(min=COMFORTABLE_SAMPLES)
        return piece, lengths, is_audible, _sound(piece, lengths)

    def _doubled(self, audio: Tensor, counts: Tensor) -> Tensor:
        """[R, n] -> [R, 2 n]."""
        valid = torch.arange(audio.shape[1], device=audio.device) < counts[:, None]
        samples = torch.where(valid, audio, 0).float() * _INT16
        windows = F.pad(samples, (REACH, REACH)).unfold(1, _BLOCK + 2 * REACH, _BLOCK)
        return (windows @ self._upsampling).flatten(1)

    def _in_quiet(self, samples: Tensor, lengths: Tensor, floor: Tensor, is_zero: Tensor) -> Tensor:
        """See utterance.set_in_quiet; `is_zero` bool[R, frames]."""
        before = torch.div(COMFORTABLE_SAMPLES - lengths, 2, rounding_mode="floor")[:, None]
        at = torch.arange(COMFORTABLE_SAMPLES, device=samples.device) - before
        inside = (at >= 0) & (at < lengths[:, None])
        at = at.clamp(0, COMFORTABLE_SAMPLES - 1)
        nothing = is_zero.gather(1, torch.div(at, FRAME, rounding_mode="floor"))
        quiet = torch.where(inside & ~nothing, samples.gather(1, at), floor[:, None] * self._noise)
        begin, rest = samples.tensor_split([COMFORTABLE_SAMPLES], dim=1)
        is_short = (lengths < COMFORTABLE_SAMPLES)[:, None]
        return torch.cat([torch.where(is_short, quiet, begin), rest], dim=1)


def _levels(samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """RMS of each 20 ms frame [R, frames], and whether all of it is there."""
    frames = samples.shape[1] // FRAME
    whole = samples[:, : frames * FRAME].reshape(len(samples), frames, FRAME)
    levels = torch.linalg.vector_norm(whole, dim=-1) / math.sqrt(FRAME)
    end = FRAME * torch.arange(1, frames + 1, device=samples.device)
    return levels, end <= lengths[:, None]


def _spread(levels: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """See utterance.spread; of the levels that count, bool[R, frames]; whatever where none do."""
    ordered = torch.where(counts, levels, torch.inf).sort(dim=1).values
    last = (counts.sum(1) - 1).clamp(min=0)
    found = []
    for share in (0.1, 0.95):
        place = share * last
        below = place.floor().long()
        above = torch.minimum(below + 1, last)
        low, high = ordered.gather(1, torch.stack([below, above], dim=1)).unbind(1)
        found.append(torch.lerp(low, high, (place - below).to(low.dtype)))
    return found[0], found[1]


def _sound(piece: Tensor, lengths: Tensor) -> Tensor:
    """See confidence_features.Sound: seconds of speech, its level in dBFS, dB above its floor."""
    levels, is_whole = _levels(piece, lengths)
    levels = 20 * levels.clamp(min=_ZERO).log10()
    low, high = _spread(levels, is_whole)
    frames = (is_whole & (levels > high[:, None] - SPEECH_DB)).sum(1)
    seconds = frames * lengths / (is_whole.sum(1) * SAMPLE_RATE_HZ)
    return torch.stack([seconds.to(high.dtype), high, high - low], dim=1)


def _upsampling() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """float32[BLOCK + 2 REACH, 2 BLOCK]: samples around a block -> its own at twice the rate.

    The taps are soxr's: what it makes of a single pulse, for it is linear.
    """
    pulse = np.zeros(6 * REACH, np.float32)
    pulse[3 * REACH] = 1.0
    answer = soxr.resample(pulse, INPUT_HZ, SAMPLE_RATE_HZ)
    to, of = np.arange(2 * _BLOCK), np.arange(_BLOCK + 2 * REACH) - REACH
    distance = to - 2 * of[:, None]
    inside = np.abs(distance) < 2 * REACH
    taps = np.where(inside, answer[6 * REACH + np.clip(distance, -2 * REACH, 2 * REACH)], 0)
    return np.ascontiguousarray(taps, np.float32)
