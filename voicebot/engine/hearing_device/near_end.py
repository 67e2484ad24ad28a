"""The near-end detector as tensor operations; see turns.near_end and turns.near_end_features."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from voicebot.engine.hearing_device.state import SlotState, constant, put
from voicebot.turns import near_end_features as room
from voicebot.turns import near_end_match as match_room
from voicebot.turns.near_end import MODEL_PATH, load_weights

_BANDS, _LATER = room.BANDS, room.LATER_LAGS


def _decibel(power: Tensor) -> Tensor:
    return 10 * torch.log10(power + float(room._POWER_FLOOR))


def _band_sums() -> Tensor:
    """float32[129, BANDS]: sums the power of a windowed spectrum's bins, 0 dB a full-scale sine."""
    sums = torch.zeros(room.WINDOW_SAMPLES // 2 + 1, _BANDS)
    for band, (first, end) in enumerate(pairwise(room._BINS.tolist())):
        sums[first:end, band] = room._WINDOW_GAIN
    return sums


@dataclass(frozen=True, slots=True)
class Windows:
    """As room.Windows."""

    near: Tensor
    clean: Tensor
    far: Tensor
    sent: Tensor
    speech: Tensor
    residual_db: Tensor
    delay: Tensor
    is_locked: Tensor
    is_verified: Tensor
    settled_ms: Tensor


class NearEnd:
    """Probability that the caller speaks, whatever the echo does."""

    def __init__(self, state: SlotState) -> None:
        """ModelUnavailable when the weights are missing or damaged."""
        weights = load_weights(MODEL_PATH)
        self._w = {name: constant(value, state.device) for name, value in weights.items()}
        self._units = len(weights["recurrent_bias"]) // 3
        self._hidden = state.add(self._units)
        self._features = Features(state)

    def step(self, rows: Tensor, kept: Tensor, windows: Windows) -> Tensor:
        """float32[n] in 0..1; arguments as turns.near_end.NearEndDetector.probabilities.

        `kept`: the rows to whose state this counts, the scratch row for the others.
        """
        features = self._features.step(rows, kept, windows)
        w, units, state = self._w, self._units, self._hidden[rows]
        inputs = ((features - w["mean"]) * w["scale"]).clamp(-5, 5)
        dense = (inputs @ w["dense"] + w["dense_bias"]).relu()
        gates = dense @ w["input"] + w["input_bias"]
        recurrent = state @ w["recurrent"] + w["recurrent_bias"]
        both = (gates[:, : 2 * units] + recurrent[:, : 2 * units]).sigmoid()
        reset, update = both.chunk(2, dim=1)
        candidate = (gates[:, 2 * units :] + reset * recurrent[:, 2 * units :]).tanh()
        state = candidate + update * (state - candidate)
        put(self._hidden, kept, state)
        logit = state @ w["output"] + dense @ w["skip"] + w["output_bias"]
        return (logit * w["sharpness"] + w["shift"]).reshape(-1).clamp(-30, 30).sigmoid()


class Features:
    """As room.NearEndFeatures."""

    def __init__(self, state: SlotState) -> None:
        floor = float(match_room.FLOOR_DB)
        self._bands = _band_sums().to(state.device)
        self._taper = constant(room._TAPER, state.device)
        self._tail = state.add(_BANDS, fill=floor)
        self._leak = state.add(_BANDS, fill=float(room._START_LEAK_DB))
        self._floor = state.add(_BANDS, fill=floor)
        self._peak = state.add(fill=floor)
        self._on = state.add()
        self._silent = state.add()
        self._coherence = state.add(3, _BANDS)
        self._match = _Match(state)

    def step(self, rows: Tensor, kept: Tensor, windows: Windows) -> Tensor:
        """float32[n, FEATURES]; as room.NearEndFeatures.compute."""
        sound = torch.stack((windows.near, windows.clean, windows.far, windows.sent))
        sound = sound.nan_to_num(nan=0.0).clamp(-float(room._LOUDEST), float(room._LOUDEST))
        near_s, clean_s, far_s, sent_s = torch.fft.rfft(sound * self._taper)
        spectra = torch.stack((near_s, clean_s, near_s - clean_s, far_s, sent_s))
        spectra = torch.view_as_real(spectra)
        power = spectra.square().sum(dim=3)
        cross = (spectra[0] * spectra[2]).sum(dim=2)
        bands = torch.cat((power, cross[None])) @ self._bands
        least = float(room._POWER_FLOOR) ** 2
        correlation = bands[5] / (bands[0] * bands[2] + least).sqrt()
        now = torch.stack((bands[5] - bands[2], bands[1], bands[2]), dim=1)
        sums = float(room._COHERENCE_LEAK) * self._coherence[rows] + now
        put(self._coherence, kept, sums)
        coherence = sums[:, 0] / (sums[:, 1] * sums[:, 2] + least).sqrt()
        near_db, clean_db, echo_db, far_db, sent_db = _decibel(bands[:5])
        tail = torch.maximum(far_db, self._tail[rows] - float(room._REVERB_DB))
        put(self._tail, kept, tail)
        expected = self._advance_leak(rows, kept, clean_db, tail)
        floor = self._advance_floor(rows, kept, clean_db)
        totals = _decibel(bands[:4].sum(dim=2))
        match, ahead = self._match.step(rows, kept, clean_db, sent_db, windows.delay)
        scalars = self._scalars(rows, kept, totals, windows)
        columns = [near_db, clean_db, echo_db, far_db, tail, clean_db - expected, clean_db - floor]
        columns += [correlation, coherence, clean_db - ahead.amax(dim=1), match, ahead.amax(dim=2)]
        features = torch.cat((*columns, scalars), dim=1)
        return features.nan_to_num(nan=0.0, posinf=0.0, neginf=float(match_room.FLOOR_DB))

    def _advance_leak(self, rows: Tensor, kept: Tensor, clean_db: Tensor, tail: Tensor) -> Tensor:
        leak = self._leak[rows]
        expected = tail + leak
        up, down = float(room._LEAK_UP_DB), float(room._LEAK_DOWN_DB)
        step = (clean_db > expected) * (up + down) - down
        put(self._leak, kept, (leak + step * (tail > float(room._LOUD_DB))).clamp(-60, 20))
        return expected

    def _advance_floor(self, rows: Tensor, kept: Tensor, clean_db: Tensor) -> Tensor:
        floor = self._floor[rows]
        gap = clean_db - floor
        up, down = float(room._FLOOR_UP_DB), float(room._FLOOR_DOWN)
        floor = floor + torch.where(gap < 0, down * gap, gap.clamp(max=up))
        put(self._floor, kept, floor)
        return floor

    def _scalars(self, rows: Tensor, kept: Tensor, totals: Tensor, windows: Windows) -> Tensor:
        near_db, clean_db, _, far_db = totals
        speech = windows.speech
        likely = speech.clamp(1e-3, 1 - 1e-3)
        residual = windows.residual_db.nan_to_num(nan=0.0)
        residual = residual.clamp(float(match_room.FLOOR_DB), 0)
        peak = self._peak[rows]
        put(self._peak, kept, torch.maximum(near_db, peak - 0.25))
        is_silent = far_db < float(room._SILENT_DB)
        silent = (self._silent[rows] + 1).clamp(max=room._OLD).masked_fill(~is_silent, 0)
        on = self._on[rows]
        on = (on + ((on > 0) | ~is_silent)).clamp(max=room._OLD)
        on = on.masked_fill(silent >= room._PAUSE, 0)
        put(self._on, kept, on)
        put(self._silent, kept, silent)
        columns = [speech, (likely / (1 - likely)).log(), residual, clean_db - residual]
        locked, verified = (of.to(speech.dtype) for of in (windows.is_locked, windows.is_verified))
        columns += [locked, near_db, clean_db, far_db, near_db - peak, on, silent, verified]
        settled = windows.settled_ms.clamp(max=int(room._LONG_SETTLED_MS)) / 1000
        return torch.stack([*columns, settled], dim=1)


class _Match:
    """As match_room.SentMatch."""

    def __init__(self, state: SlotState) -> None:
        self._clean_mean = state.add(_BANDS, fill=-50.0)
        self._sent_mean = state.add(_BANDS, fill=-40.0)
        self._sent = state.add(match_room._WINDOWS, _BANDS, fill=float(match_room.FLOOR_DB))
        self._next = state.counter()
        self._sums = state.add(3, match_room.LAGS)
        later, earlier = torch.arange(_LATER), -1 - torch.arange(match_room.EARLIER_LAGS)
        self._offsets = torch.cat((later, earlier)).to(state.device)

    def step(
        self, rows: Tensor, kept: Tensor, clean_db: Tensor, sent_db: Tensor, delay: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(float32[n, LAGS], float32[n, EARLIER_LAGS, BANDS]) of the next window."""
        size = match_room._WINDOWS
        at = self._next[rows] % size
        self._sent.view(-1, _BANDS).index_copy_(0, kept * size + at, sent_db)
        put(self._next, kept, at + 1)
        window = match_room._WINDOW_SAMPLES
        back = ((delay + window // 2) // window)[:, None] + self._offsets
        is_known = (delay >= 0)[:, None] & (back >= 0) & (back < size)
        # The scratch row does not hold what is sent now; nobody reads what is found there.
        places = rows[:, None] * size + (at[:, None] - back) % size
        sent = self._sent.view(-1, _BANDS)[places]
        sent = sent.masked_fill(~is_known[:, :, None], float(match_room.FLOOR_DB))
        clean = _deviation(clean_db, self._clean_mean[rows])
        far = _deviation(sent, self._sent_mean[rows][:, None])
        far = far.masked_fill(~is_known[:, :, None], 0.0)
        for means, levels in ((self._clean_mean, clean_db), (self._sent_mean, sent_db)):
            leak = (levels > float(match_room._SOUND_DB)) * float(match_room._MEAN_LEAK)
            put(means, kept, means[rows] + leak * (levels - means[rows]))
        energy = clean.square().sum(dim=1, keepdim=True).expand(-1, match_room.LAGS)
        now = ((far @ clean[:, :, None])[:, :, 0], far.square().sum(dim=2), energy)
        sums = float(match_room._LEAK) * self._sums[rows] + torch.stack(now, dim=1)
        put(self._sums, kept, sums)
        product, of_sent, of_clean = sums.unbind(dim=1)
        matched = product / (of_sent * of_clean + 1).sqrt()
        return matched, sent[:, _LATER:]


def _deviation(levels: Tensor, mean: Tensor) -> Tensor:
    """From the band's slow mean, dB."""
    reach = float(match_room._RANGE_DB)
    return (levels.clamp(min=float(match_room._SOUND_DB)) - mean).clamp(-reach, reach)
