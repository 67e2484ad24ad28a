"""Silero's voice activity net as tensor operations; see turns.vad.

The weights are those of the package's own TorchScript file (its branch for 8 kHz, silero_vad 6):
a short-time transform as a product, four convolutions of which hardly more than one frame is left,
an LSTM cell, one probability. Convolutions are written as products: at these sizes nothing is
faster, and nothing chooses an algorithm while a graph is recorded.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from voicebot.engine.hearing_device.state import SlotState, put
from voicebot.errors import ModelUnavailable
from voicebot.turns import vad as room

_CONTEXT, _STATE = room._CONTEXT_SAMPLES, room._STATE_SIZE
_HOP = 64
_STRIDES = (1, 2, 2, 1)
_QUIET_PROBABILITY, _QUIET_WINDOWS = room._QUIET_PROBABILITY, room._QUIET_WINDOWS
_FADE = float(room._FADE)


def load_weights() -> dict[str, Tensor]:
    """Of the net for 8 kHz, by their names in the file; ModelUnavailable where there is none."""
    spec = find_spec("silero_vad")
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    path = Path(folder or "silero_vad") / "data" / "silero_vad.jit"
    try:
        with warnings.catch_warnings():
            # The file is what the package ships; nothing but its numbers is used.
            warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated")
            net = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        state: dict[str, Tensor] = net.state_dict()
        return {
            name.removeprefix("_model_8k."): tensor.to(torch.float32)
            for name, tensor in state.items()
            if name.startswith("_model_8k.")
        }
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelUnavailable(
            f"voice activity model: {path} cannot be read ({str(error).splitlines()[0]}); "
            "pip install 'silero-vad>=6.2,<7'"
        ) from None


class Vad:
    """Speech probability of many calls at once."""

    def __init__(self, state: SlotState, weights: dict[str, Tensor] | None = None) -> None:
        """ModelUnavailable where the net is not installed."""
        found = load_weights() if weights is None else weights
        device = state.device
        try:
            self._basis = found["stft.forward_basis_buffer"][:, 0].T.contiguous().to(device)
            self._layers = [
                (
                    found[f"encoder.{at}.reparam_conv.weight"].flatten(1).T.contiguous().to(device),
                    found[f"encoder.{at}.reparam_conv.bias"].to(device),
                    stride,
                )
                for at, stride in enumerate(_STRIDES)
            ]
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            inner, recurrent, bias, more = (found[f"decoder.rnn.{name}"] for name in names)
            self._gates = torch.cat((inner, recurrent), dim=1).T.contiguous().to(device)
            self._gate_bias = (bias + more).to(device)
            self._out = found["decoder.decoder.2.weight"][0, :, 0].contiguous().to(device)
            self._out_bias = found["decoder.decoder.2.bias"].to(device)
        except (KeyError, IndexError) as error:
            raise ModelUnavailable(
                f"voice activity model: silero_vad.jit is of another version (no {error}); "
                "pip install 'silero-vad>=6.2,<7'"
            ) from None
        self._state = state
        self._hidden = state.add(_STATE)
        self._cell = state.add(_STATE)
        self._context = state.add(_CONTEXT)
        self._quiet = state.counter()

    def step(self, rows: Tensor, windows: Tensor) -> Tensor:
        """float32[n] in 0..1 of the next windows, float32[n, 256], of `rows`, int64[n]."""
        heard = torch.cat((self._context[rows], windows), dim=1)
        put(self._context, rows, windows[:, -_CONTEXT:])
        inputs = torch.cat((self._encode(heard), self._hidden[rows]), dim=1)
        gates = torch.addmm(self._gate_bias, inputs, self._gates)
        into, forget, candidate, out = gates.chunk(4, dim=1)  # PyTorch's order: i, f, g, o
        cell = forget.sigmoid() * self._cell[rows] + into.sigmoid() * candidate.tanh()
        hidden = out.sigmoid() * cell.tanh()
        probability = (hidden.relu() @ self._out + self._out_bias).sigmoid()
        quiet = (self._quiet[rows] + 1).masked_fill(probability >= _QUIET_PROBABILITY, 0)
        expired = quiet >= _QUIET_WINDOWS
        kept = torch.where(expired[:, None], hidden * _FADE, hidden)
        put(self._hidden, rows, kept)
        put(self._cell, rows, torch.where(expired[:, None], cell * _FADE, cell))
        put(self._quiet, rows, quiet.masked_fill(expired, 0))
        return probability

    def _encode(self, heard: Tensor) -> Tensor:
        """float32[n, 128] of float32[n, 288]."""
        mirrored = heard[:, -33:-1].flip(1)  # what follows is taken to be what came before
        frames = torch.cat((heard, mirrored), dim=1).unfold(1, 2 * _HOP, _HOP) @ self._basis
        real, imaginary = frames.chunk(2, dim=2)
        layer = (real.square() + imaginary.square()).sqrt().transpose(1, 2)
        for weight, bias, stride in self._layers:
            around = torch.nn.functional.pad(layer, (1, 1)).unfold(2, 3, stride)  # [n, C, T, 3]
            taken = around.transpose(1, 2).flatten(2)
            layer = (taken @ weight + bias).relu().transpose(1, 2)
        return layer[:, :, 0]
