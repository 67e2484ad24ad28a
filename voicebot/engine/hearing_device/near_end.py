"""The near-end detector as tensor operations; see turns.near_end and turns.near_end_features."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from voicebot.engine.hearing_device.state import SlotState, constant, put
from voicebot.turns import near_end_features as room
from voicebot.turns.near_end import MODEL_PATH, load_weights

_BANDS, _LATER, _EARLIER = room.BANDS, room.LATER_LAGS, room.EARLIER_LAGS


class Window(NamedTuple):
    """One of each call; see turns.near_end.NearEndDetector.probabilities."""

    near: Tensor
    clean: Tensor
    far: Tensor
    speech: Tensor
    residual_db: Tensor
    is_locked: Tensor


def _decibel(power: Tensor) -> Tensor:
    return 10 * torch.log10(power + float(room._POWER_FLOOR))


def _band_sums() -> Tensor:
    """float32[129, BANDS]: sums the power of a windowed spectrum's bins, 0 dB a full-scale sine."""
    sums = torch.zeros(room.WINDOW_SAMPLES // 2 + 1, _BANDS)
    for band, (first, end) in enumerate(pairwise(room._BINS.tolist())):
        sums[first:end, band] = room._WINDOW_GAIN
    return sums


class NearEnd:
    """Probability that the caller speaks, whatever the echo does."""

    def __init__(self, state: SlotState) -> None:
        """ModelUnavailable when the weights are missing or damaged."""
        weights = load_weights(MODEL_PATH)
        self._w = {name: constant(value, state.device) for name, value in weights.items()}
        self._units = len(weights["recurrent_bias"]) // 3
        self._hidden = state.add(self._units)
        self._features = Features(state)

    def step(self, rows: Tensor, kept: Tensor, heard: Window) -> Tensor:
        """float32[n] in 0..1 of the next windows of `rows`, int64[n].

        `kept`: the rows to whose state this counts, the scratch row for the others.
        """
        features = self._features.step(rows, kept, heard)
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
        floor = float(room._FLOOR_DB)
        self._bands = _band_sums().to(state.device)
        self._taper = constant(room._TAPER, state.device)
        self._tail = state.add(_BANDS, fill=floor)
        self._leak = state.add(_BANDS, fill=float(room._START_LEAK_DB))
        self._floor = state.add(_BANDS, fill=floor)
        self._peak = state.add(fill=floor)
        self._on = state.add()
        self._silent = state.add()
        self._match = _Match(state)

    def step(self, rows: Tensor, kept: Tensor, heard: Window) -> Tensor:
        """float32[n, FEATURES]; as room.NearEndFeatures.compute."""
        signals = torch.stack((heard.near, heard.clean, heard.far))
        spectra = torch.fft.rfft(signals * self._taper)
        near_s, clean_s, far_s = spectra
        spectra = torch.view_as_real(torch.stack((near_s, clean_s, near_s - clean_s, far_s)))
        power = spectra.square().sum(dim=3)
        cross = (spectra[0] * spectra[2]).sum(dim=2)
        bands = torch.cat((power, cross[None])) @ self._bands
        correlation = bands[4] / (bands[0] * bands[2] + float(room._POWER_FLOOR) ** 2).sqrt()
        levels = _decibel(bands[:4])
        near_db, clean_db, echo_db, far_db = levels
        tail = torch.maximum(far_db, self._tail[rows] - float(room._REVERB_DB))
        put(self._tail, kept, tail)
        expected = self._advance_leak(rows, kept, clean_db, tail)
        floor = self._advance_floor(rows, kept, clean_db)
        totals = _decibel(bands[:4].sum(dim=2))
        match = self._match.step(rows, kept, clean_db, far_db)
        scalars = self._scalars(rows, kept, totals, heard)
        columns = (near_db, clean_db, echo_db, far_db, tail, clean_db - expected, clean_db - floor)
        features = torch.cat((*columns, correlation, match, scalars), dim=1)
        return features.nan_to_num(nan=0.0, posinf=0.0, neginf=float(room._FLOOR_DB))

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

    def _scalars(self, rows: Tensor, kept: Tensor, totals: Tensor, heard: Window) -> Tensor:
        near_db, clean_db, _, far_db = totals
        speech, likely = heard.speech, heard.speech.clamp(1e-3, 1 - 1e-3)
        residual = heard.residual_db.clamp(float(room._FLOOR_DB), 0)
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
        columns += [heard.is_locked.to(speech.dtype), near_db, clean_db, far_db, near_db - peak]
        return torch.stack([*columns, on, silent], dim=1)


class _Match:
    """As room._Match."""

    def __init__(self, state: SlotState) -> None:
        self._clean_mean = state.add(_BANDS, fill=-50.0)
        self._far_mean = state.add(_BANDS, fill=-40.0)
        self._far = state.add(_LATER, _BANDS)  # newest first
        self._clean = state.add(_EARLIER + 1, _BANDS)
        self._sums = state.add(3, _LATER + _EARLIER)

    def step(self, rows: Tensor, kept: Tensor, clean_db: Tensor, far_db: Tensor) -> Tensor:
        """float32[n, LATER_LAGS + EARLIER_LAGS] of the next window."""
        clean = self._deviation(self._clean_mean, rows, kept, clean_db)
        far = self._deviation(self._far_mean, rows, kept, far_db)
        fars = torch.cat((far[:, None], self._far[rows, :-1]), dim=1)
        cleans = torch.cat((clean[:, None], self._clean[rows, :-1]), dim=1)
        put(self._far, kept, fars)
        put(self._clean, kept, cleans)
        fars_energy, cleans_energy = fars.square().sum(dim=2), cleans.square().sum(dim=2)
        later = (fars @ clean[:, :, None])[:, :, 0]
        earlier = (cleans @ far[:, :, None])[:, 1:, 0]
        now_clean = cleans_energy[:, :1].expand(-1, _LATER)
        now_far = fars_energy[:, :1].expand(-1, _EARLIER)
        now = (
            torch.cat((later, earlier), dim=1),
            torch.cat((now_clean, cleans_energy[:, 1:]), dim=1),
            torch.cat((fars_energy, now_far), dim=1),
        )
        sums = float(room._MATCH_LEAK) * self._sums[rows] + torch.stack(now, dim=1)
        put(self._sums, kept, sums)
        product, first, second = sums.unbind(dim=1)
        return product / (first * second + 1).sqrt()

    @staticmethod
    def _deviation(means: Tensor, rows: Tensor, kept: Tensor, levels: Tensor) -> Tensor:
        """From the band's slow mean, dB."""
        sound, reach = float(room._SOUND_DB), float(room._RANGE_DB)
        mean = means[rows]
        leak = (levels > sound) * float(room._MEAN_LEAK)
        put(means, kept, mean + leak * (levels - mean))
        return (levels.clamp(min=sound) - mean).clamp(-reach, reach)
