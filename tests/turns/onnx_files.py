"""Small ONNX models written byte by byte: the tests need no `onnx` package.

Field numbers are those of onnx.proto (ONNX IR 8): protobuf's wire format is a tag of field number
and type before each value, here only varints (0), length-delimited (2) and float32 (5).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

FLOAT, INT64 = 1, 7  # TensorProto.DataType
Array = NDArray[np.float32] | NDArray[np.int64]
Shape = Sequence[int | str]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def tensor(name: str, values: Array) -> bytes:
    """TensorProto of float32 or int64."""
    kind = INT64 if values.dtype == np.int64 else FLOAT
    dims = b"".join(_number(1, size) for size in values.shape)
    return dims + _number(2, kind) + _bytes(8, name) + _bytes(9, values.tobytes())


def _value(name: str, shape: Shape) -> bytes:
    dims = b"".join(
        _bytes(1, _bytes(2, size) if isinstance(size, str) else _number(1, size)) for size in shape
    )
    kind = _bytes(1, _number(1, FLOAT) + _bytes(2, dims))
    return _bytes(1, name) + _bytes(2, kind)


def _attribute(name: str, value: int | float | Sequence[int]) -> bytes:
    head = _bytes(1, name)
    if isinstance(value, float):
        return head + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, 2)
    return head + b"".join(_number(8, item) for item in value) + _number(20, 7)


def node(
    kind: str, inputs: Sequence[str], output: str, **attributes: int | float | Sequence[int]
) -> bytes:
    """NodeProto with one output."""
    names = b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output)
    return (
        names
        + _bytes(4, kind)
        + b"".join(_bytes(5, _attribute(name, value)) for name, value in attributes.items())
    )


def model(
    nodes: Sequence[bytes],
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    constants: Mapping[str, Array],
) -> bytes:
    """ModelProto: what an .onnx file holds."""
    graph = b"".join(_bytes(1, item) for item in nodes) + _bytes(2, "test")
    graph += b"".join(_bytes(5, tensor(name, values)) for name, values in constants.items())
    graph += b"".join(_bytes(11, _value(name, shape)) for name, shape in inputs.items())
    graph += b"".join(_bytes(12, _value(name, shape)) for name, shape in outputs.items())
    return _number(1, 8) + _bytes(8, _number(2, 13)) + _bytes(7, graph)


# ------------------------------------------------------------ stand-ins for openWakeWord's files


def melspectrogram(seed: int = 0, bands: int = 32) -> bytes:
    """As melspectrogram.onnx: [n, samples] -> [n, 1, frames, 32], windows of 512 every 160."""
    filters = np.random.default_rng(seed).normal(0, 0.001, (bands, 1, 512)).astype(np.float32)
    return model(
        [
            node("Unsqueeze", ["input", "one"], "signal"),
            node("Conv", ["signal", "filters"], "bands", strides=[160], kernel_shape=[512]),
            node("Transpose", ["bands"], "frames", perm=[0, 2, 1]),
            node("Unsqueeze", ["frames", "one"], "output"),
        ],
        {"input": ("batch", "samples")},
        {"output": ("batch", 1, "frames", bands)},
        {"one": np.array([1]), "filters": filters},
    )


def embedding(seed: int = 1, size: int = 96) -> bytes:
    """As embedding_model.onnx: [n, 76, 32, 1] -> [n, 1, 1, 96]."""
    weights = np.random.default_rng(seed).normal(0, 0.002, (76 * 32, size)).astype(np.float32)
    return model(
        [
            node("Reshape", ["input_1", "flat"], "row"),
            node("MatMul", ["row", "weights"], "sums"),
            node("Tanh", ["sums"], "bent"),
            node("Reshape", ["bent", "shape"], "conv2d_19"),
        ],
        {"input_1": ("batch", 76, 32, 1)},
        {"conv2d_19": ("batch", 1, 1, size)},
        {
            "weights": weights,
            "flat": np.array([-1, 76 * 32]),
            "shape": np.array([-1, 1, 1, size]),
        },
    )


def word(
    seed: int = 2, frames: int = 16, classes: int = 1, size: int = 96, batch: int | str = 1
) -> bytes:
    """As a word's model: [1, frames, 96] -> [1, classes], exported for one row at a time."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.05, (frames * size, classes)).astype(np.float32)
    return model(
        [
            node("Reshape", ["x", "flat"], "row"),
            node("MatMul", ["row", "weights"], "sums"),
            node("Sigmoid", ["sums"], "y"),
        ],
        {"x": (batch, frames, size)},
        {"y": (batch, classes)},
        {"weights": weights, "flat": np.array([-1, frames * size])},
    )
