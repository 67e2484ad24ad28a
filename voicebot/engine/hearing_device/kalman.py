"""The Kalman filter of the echo path as tensor operations; see audio.kalman."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from voicebot.audio import kalman_model as model
from voicebot.audio.kalman_model import BINS, FFT, PARTITIONS
from voicebot.engine.hearing_device.state import SlotState, constant, put
from voicebot.events import CHUNK_SAMPLES


@dataclass(slots=True)
class Learned:
    """What the filters of some rows know."""

    path: Tensor  # complex64[n, P, BINS]
    doubt: Tensor  # float32[n, P, BINS]
    near: Tensor  # float32[n, BINS]
    age: Tensor  # int64[n]


class Filter:
    """As KalmanFilter; far-end spectra of before `silence` count as zeros."""

    def __init__(self, state: SlotState) -> None:
        device = state.device
        self._state = state
        self._zero = (state.scratch + 1) * PARTITIONS
        self._far = torch.zeros(self._zero + 1, BINS, dtype=torch.complex64, device=device)
        self._head = state.counter()
        self._valid = state.counter()  # spectra since `silence`
        self._path = state.unkept(PARTITIONS, BINS, dtype=torch.complex64)
        self._doubt = state.unkept(PARTITIONS, BINS, dtype=torch.float32)
        self._near = state.unkept(BINS, dtype=torch.float32)
        self._age = state.counter()
        self._leakage = constant(model.LEAKAGE, device)
        self._ramps = constant(model.RAMPS, device)
        shapes = [torch.from_numpy(model.prior_shape(lead)) for lead in range(PARTITIONS)]
        self._priors = torch.stack(shapes).to(device)  # [P, P, 1]
        one = torch.eye(BINS).numpy()
        rows = [torch.from_numpy(model.smoothed(one[bin])) for bin in range(BINS)]
        self._smoothing = torch.stack(rows).to(torch.float32).to(device)
        self._by_age = torch.arange(PARTITIONS, device=device)

    @property
    def nbytes_per_slot(self) -> int:
        """Beyond what the state counts."""
        return PARTITIONS * BINS * self._far.element_size()

    def silence(self, kept: Tensor) -> None:
        """Nothing of the far end is in the rooms of these rows now."""
        self._valid.index_fill_(0, kept, 0)

    def step(
        self,
        rows: Tensor,
        kept: Tensor,
        near: Tensor,
        far: Tensor,
        learns: Tensor,
        late: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """As KalmanFilter.process: near float32[n, 160], far float32[n, 320]; `learns`:
        bool[n]."""
        spectra = torch.fft.rfft(far)
        ramp = (late * model.RAMP_STEPS).round().to(torch.int64) % model.RAMP_STEPS
        spectra = spectra * self._ramps[ramp]
        head = (self._head[rows] + 1) % PARTITIONS
        valid = (self._valid[rows] + 1).clamp(max=PARTITIONS)
        put(self._head, kept, head)
        put(self._valid, kept, valid)
        self._far.index_copy_(0, kept * PARTITIONS + head, spectra)
        order = rows[:, None] * PARTITIONS + (head[:, None] - self._by_age) % PARTITIONS
        order = order.masked_fill(self._by_age >= valid[:, None], self._zero)
        learned = self._learned(rows)
        found = self._advance(learned, self._far[order], near, learns.to(torch.float32)[:, None])
        self._keep(kept, learned)
        return found

    def _learned(self, rows: Tensor) -> Learned:
        return Learned(self._path[rows], self._doubt[rows], self._near[rows], self._age[rows])

    def _keep(self, kept: Tensor, learned: Learned) -> None:
        put(self._path, kept, learned.path)
        put(self._doubt, kept, learned.doubt)
        put(self._near, kept, learned.near)
        put(self._age, kept, learned.age)

    def _advance(
        self, learned: Learned, spectra: Tensor, near: Tensor, learning: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One block: (predicted echo float32[n, 160], power of what may be left, float32[n])."""
        predicted = _second_half((spectra * learned.path).sum(dim=1))
        error = near - predicted
        error_spectrum = torch.fft.rfft(torch.nn.functional.pad(error, (CHUNK_SAMPLES, 0)))
        power = _power(spectra) * learned.doubt
        uncertain = power.sum(dim=1) @ self._leakage
        gain = learning * (1 - model.NEAR_LEAK)
        near_power = torch.lerp(learned.near, _power(error_spectrum), gain)
        learned.near = near_power.clamp(min=float(model.NEAR_FLOOR))
        learned.age = learned.age + 1
        young, mature = model.NEAR_SHARES
        progress = (learned.age[:, None] / model.MATURE_BLOCKS).clamp(max=1.0)
        share = young + (mature - young) * progress
        inverse = learning / (uncertain + share * learned.near)
        # The gradient K E, constrained to the first half in time.
        gradient = spectra.conj() * (error_spectrum * inverse)[:, None] * learned.doubt
        taps = _signal(gradient)[..., :CHUNK_SAMPLES]
        learned.path = learned.path + torch.fft.rfft(taps, FFT)
        factor = (1.0 - float(model.HALF) * inverse[:, None] * power).clamp(min=0.0)
        kept = model.TRANSITION**2
        learned.doubt = learned.doubt * factor * kept + (1 - kept) * _power(learned.path)
        return predicted, uncertain.sum(dim=1) * (2.0 / FFT / CHUNK_SAMPLES)

    # ------------------------------------------------------------ what is rare

    def start(self, kept: Tensor, near: Tensor, far: Tensor, lead: Tensor) -> Tensor:
        """Begin anew with what was heard; as KalmanFilter.start, for rows at once: `lead`
        int64[k]."""
        blocks = near.reshape(len(near), -1, CHUNK_SAMPLES)
        alone = torch.nn.functional.pad(blocks, (CHUNK_SAMPLES, 0))
        near_power = _power(torch.fft.rfft(alone)).mean(dim=1)
        recent = far[:, -near.shape[1] - CHUNK_SAMPLES :]
        far_power = _power(torch.fft.rfft(recent.unfold(1, FFT, CHUNK_SAMPLES))).mean(dim=1)
        expected = (far_power @ self._smoothing) * float(model.HALF) + 1e-6
        path_power = (near_power @ self._smoothing) / expected
        prior = self._priors[lead.clamp(0, PARTITIONS - 1)]
        doubt = model.PRIOR_SHARE * path_power[:, None] * prior
        learned = Learned(
            torch.zeros_like(doubt, dtype=torch.complex64),
            doubt,
            (model.PRIOR_NEAR_SHARE * near_power).clamp(min=float(model.NEAR_FLOOR)),
            torch.zeros_like(lead),
        )
        return self._replay(kept, learned, near, far)

    def rehearse(self, kept: Tensor, near: Tensor, far: Tensor) -> None:
        """Hear once more what has been heard."""
        learned = self._learned(kept)
        learned.doubt = learned.doubt * float(model.REHEARSAL_DOUBT)
        self._replay(kept, learned, near, far)

    def refine(
        self, kept: Tensor, scale: Tensor, doubt_share: float, near: Tensor, far: Tensor
    ) -> None:
        """The path is louder by a factor (float32[k]) and doubted by a share of its power; then
        it hears what was heard."""
        learned = self._learned(kept)
        scale = scale[:, None, None]
        learned.path = learned.path * scale
        learned.doubt = learned.doubt * scale.square() + doubt_share * _power(learned.path)
        self._replay(kept, learned, near, far)

    def predict(self, rows: Tensor, far: Tensor) -> Tensor:
        """The echo of float32[k, m, (n + P) * 160] without its first P blocks, [k, m, n * 160]."""
        frames = _frames(far)
        count = frames.shape[2] - PARTITIONS
        path = self._path[rows]
        total = torch.zeros_like(frames[:, :, :count])
        for age in range(PARTITIONS):
            first = PARTITIONS - age
            total = total + frames[:, :, first : first + count] * path[:, None, None, age]
        return _second_half(total).flatten(2)

    def _replay(self, kept: Tensor, learned: Learned, near: Tensor, far: Tensor) -> Tensor:
        """Run through what was heard, as KalmanFilter.replay; the predicted echo."""
        spectra = _frames(far)
        learning = torch.ones_like(near[:, :1])
        echo = []
        for block, heard in enumerate(torch.split(near, CHUNK_SAMPLES, dim=1)):
            by_age = spectra[:, block + 1 : block + 1 + PARTITIONS].flip(1)
            predicted, _ = self._advance(learned, by_age, heard, learning)
            echo.append(predicted)
        self._keep(kept, learned)
        where = kept[:, None] * PARTITIONS + self._by_age
        last = spectra[:, -PARTITIONS:]
        self._far.index_copy_(0, where.flatten(), last.flatten(0, 1))
        self._head.index_fill_(0, kept, PARTITIONS - 1)
        self._valid.index_fill_(0, kept, PARTITIONS)
        return torch.cat(echo, dim=1)


def _frames(far: Tensor) -> Tensor:
    """complex64[..., n, BINS] of float32[..., n * 160]: each block with the one before it."""
    led = torch.nn.functional.pad(far, (CHUNK_SAMPLES, 0))
    frames: Tensor = torch.fft.rfft(led.unfold(-1, FFT, CHUNK_SAMPLES))
    return frames


def _signal(spectra: Tensor) -> Tensor:
    """float32[..., FFT] of complex64[..., BINS], which it changes.

    A real signal's first and last bin have no imaginary part. Delays by parts of a sample give
    them one, which a CPU ignores; of a GPU's transforms some spread it over all samples.
    """
    torch.view_as_real(spectra)[..., :: BINS - 1, 1].zero_()
    signal: Tensor = torch.fft.irfft(spectra, FFT)
    return signal


def _second_half(spectra: Tensor) -> Tensor:
    return _signal(spectra)[..., CHUNK_SAMPLES:]


def _power(spectra: Tensor) -> Tensor:
    return torch.view_as_real(spectra).square().sum(dim=-1)
