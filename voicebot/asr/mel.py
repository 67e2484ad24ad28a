"""Log-mel features as NeMo computes them, for whole recordings and chunk by chunk.

Pre-emphasis, 25 ms Hann windows every 10 ms, power spectrum of 512 points, Slaney's mel scale,
natural logarithm. Frame t is centred on sample 160 t; beyond the audio there are zeros.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SAMPLE_RATE_HZ = 16000
HOP, WINDOW, POINTS = 160, 400, 512
PREEMPHASIS = 0.97
FLOOR = 2.0**-24
"""Added before the logarithm (NeMo's log_zero_guard_value)."""
SPREAD = 1e-5
"""Added to a standard deviation before dividing by it (NeMo's normalize_batch)."""
HALF_TAPS = 16
"""Input samples on either side that upsampling looks at: 2 ms at 8 kHz."""
INT16 = 1 / 32768


def mel_filters(mels: int) -> Tensor:
    """float32[mels, POINTS / 2 + 1]: Slaney's triangles, each of unit area, 0 to 8 kHz.

    Linear to 1 kHz, logarithmic above (Slaney 1998, Auditory Toolbox; librosa's default).
    """
    top = _BREAK_HZ / _LINEAR_HZ + math.log(SAMPLE_RATE_HZ / 2 / _BREAK_HZ) / _LOG_STEP
    edges = _hz_of(torch.linspace(0, top, mels + 2, dtype=torch.float64))
    bins = torch.linspace(0, SAMPLE_RATE_HZ / 2, POINTS // 2 + 1, dtype=torch.float64)
    width = edges.diff()
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).float()


_LINEAR_HZ, _BREAK_HZ, _LOG_STEP = 200 / 3, 1000.0, math.log(6.4) / 27


def _hz_of(mel: Tensor) -> Tensor:
    turn = _BREAK_HZ / _LINEAR_HZ
    above = _BREAK_HZ * ((mel - turn).clamp(min=0) * _LOG_STEP).exp()
    return torch.where(mel < turn, mel * _LINEAR_HZ, above)


class MelFeatures(nn.Module):
    """Samples at 16 kHz -> log-mel frames, always in float32."""

    window: Tensor
    filters: Tensor

    def __init__(self, mels: int, *, is_normalised: bool = False) -> None:
        """`is_normalised`: each mel of a recording gets mean 0 and deviation 1 (offline models)."""
        super().__init__()
        self.is_normalised = is_normalised
        self.register_buffer("window", torch.hann_window(WINDOW, periodic=False), persistent=False)
        self.register_buffer("filters", mel_filters(mels).T.contiguous(), persistent=False)

    def frames(self, emphasised: Tensor) -> Tensor:
        """Pre-emphasised [B, HOP (n - 1) + WINDOW] -> [B, n, mels]."""
        windows = emphasised.unfold(1, WINDOW, HOP) * self.window
        # Where in its 512 points the window lies changes phases only.
        spectrum = torch.view_as_real(torch.fft.rfft(windows, POINTS))
        power = spectrum.square().sum(-1)
        return (power @ self.filters + FLOOR).log()

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """samples float32[B, N], lengths int64[B] -> frames [B, N // HOP, mels] and counts [B].

        Frames beyond an item's count (its length // HOP) are zero.
        """
        index = torch.arange(samples.shape[1], device=samples.device)
        valid = index < lengths[:, None]
        emphasised = emphasise(F.pad(samples, (1, 0))) * valid
        count = max(1, samples.shape[1] // HOP)
        reach = HOP * (count - 1) + WINDOW - WINDOW // 2 - samples.shape[1]
        frames = self.frames(F.pad(emphasised, (WINDOW // 2, max(0, reach))))[:, :count]
        counts = lengths // HOP
        mask = (torch.arange(count, device=samples.device) < counts[:, None])[..., None]
        if self.is_normalised:
            frames = _normalised(frames, mask)
        return frames * mask, counts


def emphasise(samples: Tensor) -> Tensor:
    """[B, n + 1] -> [B, n]: each sample less 0.97 of the one before."""
    return samples[:, 1:] - PREEMPHASIS * samples[:, :-1]


def _normalised(frames: Tensor, mask: Tensor) -> Tensor:
    count = mask.sum(1, keepdim=True)
    mean = (frames * mask).sum(1, keepdim=True) / count.clamp(min=1)
    spread = ((frames - mean) * mask).square().sum(1, keepdim=True) / (count - 1).clamp(min=1)
    return (frames - mean) / (spread.sqrt() + SPREAD)


class Upsampler(nn.Module):
    """8 kHz -> 16 kHz by a half-band filter: every other sample is the input's own."""

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        offset = torch.arange(-HALF_TAPS, HALF_TAPS, dtype=torch.float64) + 0.5
        taps = torch.sinc(offset) * torch.cos(math.pi * offset / (2 * HALF_TAPS)).square()
        taps = (taps / taps.sum()).float()
        self.register_buffer("taps", taps[None, None], persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """[B, n + 2 HALF_TAPS - 1] -> [B, 2 n], beginning with input sample HALF_TAPS - 1."""
        between = F.conv1d(samples[:, None], self.taps)[:, 0]
        own = samples[:, HALF_TAPS - 1 : HALF_TAPS - 1 + between.shape[1]]
        return torch.stack([own, between], dim=2).flatten(1)
