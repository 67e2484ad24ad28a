"""Words that end any prompt: the shipped head, and openWakeWord models for those who have them.

`HotWordHead` and `HotWordWatch` (hotword_head.py) need nothing but the package. `OpenWakeWord`
runs models of https://github.com/dscripka/openWakeWord from files (`voicebot models pull`):
a mel spectrogram and Google's speech embedding, shared by all, and a small net per word.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from voicebot.errors import ModelUnavailable
from voicebot.turns.hotword_head import HotWordHead as HotWordHead
from voicebot.turns.hotword_head import HotWordWatch as HotWordWatch

Array = NDArray[np.float32]

RATE_HZ = 16000
STEP_SAMPLES = 1280
"""80 ms at 16 kHz: what one step of the nets advances by (openwakeword/utils.py, 0.6)."""
_CONTEXT_SAMPLES = 480  # the spectrogram's windows reach back by three hops
_MEL_FRAMES, _MEL_BANDS = 8, 32  # of one step
_EMBEDDING_FRAMES, _EMBEDDING_SIZE = 76, 96
_SILENT_STEPS = 5  # openWakeWord gives 0 until this many steps are behind
_PRIMING_SAMPLES = 4 * RATE_HZ
_PRIMING_RANGE = 1000  # int16 noise that fills the history of a call that begins


class _Net:
    """One ONNX file; what is wrong with it is one line."""

    def __init__(self, path: Path | str, hint: str) -> None:
        self.path, self._hint = Path(path), hint
        if not self.path.is_file():
            raise ModelUnavailable(f"{path}: no such model file; {hint}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(self.path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own classes have no common base but this
            raise self.unfit(f"is no ONNX model that can be run ({_first_line(error)})") from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise self.unfit(f"takes {len(inputs)} inputs, not one")
        self.input_shape: list[Any] = inputs[0].shape
        self._input = inputs[0].name
        self._one_by_one = self.input_shape[:1] == [1]

    def __call__(self, rows: Array) -> Array:
        """float32[n, ...] through the net, row by row where it was exported for one only."""
        if not self._one_by_one or len(rows) == 1:
            return self._run(rows)
        return np.concatenate([self._run(row[None]) for row in rows])

    def _run(self, rows: Array) -> Array:
        output: Array = self._session.run(None, {self._input: rows})[0]
        return output

    def trial(self, shape: tuple[int, ...]) -> Array:
        """What comes out for zeros of that shape; ModelUnavailable when nothing does."""
        try:
            output = self(np.zeros(shape, np.float32))
        except Exception as error:
            wanted = "x".join(map(str, shape))
            raise self.unfit(f"does not take float32 {wanted} ({_first_line(error)})") from None
        if not isinstance(output, np.ndarray) or output.dtype != np.float32:
            raise self.unfit("does not give float32")
        return output

    def unfit(self, what: str) -> ModelUnavailable:
        """The error to raise: the file, what is wrong, how to mend it."""
        return ModelUnavailable(f"{self.path}: {what}; {self._hint}")


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.partition("] : ")[2][:120] or text[:120]


class OpenWakeWord:
    """openWakeWord's pipeline for many calls at once; each call keeps its history in a slot.

    As `openwakeword.Model.predict` with ONNX models, threshold, patience and verifier left to the
    caller. Differences: what precedes a call's first sample is silence, and the noise that fills
    the history before a call is always the same, so that a recorded call replays to the same
    numbers. Not thread-safe.
    """

    def __init__(
        self,
        model_paths: Sequence[Path | str],
        melspectrogram_path: Path | str,
        embedding_path: Path | str,
        *,
        slots: int = 1,
    ) -> None:
        """Loads the nets; ModelUnavailable (one line) when one is missing, corrupt or misshapen."""
        if not model_paths:
            raise ModelUnavailable("no openWakeWord model is named; give at least one .onnx file")
        hint = "fetch it with `voicebot models pull features`"
        self._mel, self._embedding = _Net(melspectrogram_path, hint), _Net(embedding_path, hint)
        self._check_features()
        hint = "fetch one with `voicebot models pull NAME`, or export it from openWakeWord"
        self._nets = [_Net(path, hint) for path in model_paths]
        frames_and_classes = [_check_word(net) for net in self._nets]
        self._frames = [frames for frames, _ in frames_and_classes]
        self.words = tuple(
            net.path.stem if classes == 1 else f"{net.path.stem}:{index}"
            for net, (_, classes) in zip(self._nets, frames_and_classes, strict=True)
            for index in range(classes)
        )
        """Columns of `probabilities`: the file's name, with the class where it has several."""
        history = max(self._frames)
        self._primed = self._priming(history)
        self._context = np.zeros((slots, _CONTEXT_SAMPLES), np.float32)
        self._mels = np.ones((slots, _EMBEDDING_FRAMES, _MEL_BANDS), np.float32)
        self._features = np.repeat(self._primed[None], slots, axis=0)
        self._steps = np.zeros(slots, np.int32)

    def reset(self, slot: int) -> None:
        """Forget the call in `slot`."""
        self._context[slot], self._mels[slot] = 0.0, 1.0
        self._features[slot], self._steps[slot] = self._primed, 0

    def probabilities(self, slots: NDArray[np.intp], chunks: NDArray[np.int16]) -> Array:
        """float32[n, words] after the next 80 ms of each call, 0 in its first five.

        `slots`: intp[n], distinct. `chunks`: int16[n, STEP_SAMPLES] at 16 kHz.
        """
        if chunks.dtype != np.int16 or chunks.shape != (len(slots), STEP_SAMPLES):
            raise ValueError(f"int16[{len(slots)}, {STEP_SAMPLES}] expected, not {chunks.shape}")
        if len(slots) == 0:
            return np.zeros((0, len(self.words)), np.float32)
        heard = np.concatenate((self._context[slots], chunks.astype(np.float32)), axis=1)
        self._context[slots] = heard[:, -_CONTEXT_SAMPLES:]
        mels = np.concatenate((self._mels[slots, _MEL_FRAMES:], self._spectra(heard)), axis=1)
        self._mels[slots] = mels
        features = np.concatenate((self._features[slots, 1:], self._embed(mels)[:, None]), axis=1)
        self._features[slots] = features
        found = [
            net(np.ascontiguousarray(features[:, -frames:])).reshape(len(slots), -1)
            for net, frames in zip(self._nets, self._frames, strict=True)
        ]
        self._steps[slots] += 1
        probabilities: Array = np.concatenate(found, axis=1)
        probabilities[self._steps[slots] <= _SILENT_STEPS] = 0
        return probabilities

    def _spectra(self, samples: Array) -> Array:
        """float32[n, frames, 32]; int16's scale in, that of Google's own front end out."""
        spectra = self._mel(samples).reshape(len(samples), -1, _MEL_BANDS)
        return spectra / np.float32(10) + np.float32(2)

    def _embed(self, mels: Array) -> Array:
        return self._embedding(mels[..., None]).reshape(len(mels), _EMBEDDING_SIZE)

    def _check_features(self) -> None:
        shape = self._mel.trial((1, _CONTEXT_SAMPLES + STEP_SAMPLES)).shape
        if shape[-2:] != (_MEL_FRAMES, _MEL_BANDS):
            raise self._mel.unfit(f"gives {shape} for 1760 samples, not 8 frames of 32 bands")
        shape = self._embedding.trial((1, _EMBEDDING_FRAMES, _MEL_BANDS, 1)).shape
        if int(np.prod(shape)) != _EMBEDDING_SIZE:
            raise self._embedding.unfit(f"gives {shape}, not {_EMBEDDING_SIZE} numbers")

    def _priming(self, history: int) -> Array:
        """Embeddings of noise, float32[history, 96]: the past of a call that has none."""
        frames = _EMBEDDING_FRAMES + _MEL_FRAMES * history
        length = max(_PRIMING_SAMPLES, (frames + 3) * RATE_HZ // 100)
        noise = np.random.default_rng(0).integers(-_PRIMING_RANGE, _PRIMING_RANGE, length)
        spectra = self._spectra(noise.astype(np.float32)[None])[0]
        starts = range(0, len(spectra) - _EMBEDDING_FRAMES + 1, _MEL_FRAMES)
        windows = np.stack([spectra[at : at + _EMBEDDING_FRAMES] for at in starts])
        return self._embed(windows)[-history:]


def _check_word(net: _Net) -> tuple[int, int]:
    """Feature frames that a word's net looks at, and how many classes it tells apart."""
    shape = net.input_shape
    if len(shape) != 3 or shape[2] != _EMBEDDING_SIZE or not isinstance(shape[1], int):
        raise net.unfit(f"takes {shape}, not [1, frames, {_EMBEDDING_SIZE}]")
    output = net.trial((1, shape[1], _EMBEDDING_SIZE))
    if output.ndim < 2 or output.shape[0] != 1 or output.size == 0:
        raise net.unfit(f"gives {output.shape}, not one row of probabilities")
    return shape[1], int(output.size)
