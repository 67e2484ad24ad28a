"""G.711 mu-law, the telephone's 8 bits a sample.

Both directions are tables built once from the definition in ITU-T G.711 (1988), table 2: a
bias of 33 on the 14-bit scale, eight segments of sixteen steps, all bits inverted on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENCE = b"\xff"
"""One byte, the code of sample value 0; multiply it by a length."""

_BIAS = 33 << 2  # G.711's bias on int16 samples (14-bit scale shifted by 2)
_CLIP = 8158 << 2  # the largest magnitude that still fits once biased


def _decoding_table() -> NDArray[np.int16]:
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + _BIAS) << ((code >> 4) & 0x07)) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _encoding_table() -> NDArray[np.uint8]:
    """Code of every int16 value, indexed by the value's uint16 bit pattern.

    Only 14 bits count. They are taken by an arithmetic shift, as the reference coder (Sun's
    g711.c, and audioop after it) does, so negative samples round away from zero.
    """
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2 << 2
    is_negative = samples < 0
    biased = np.minimum(np.abs(samples), _CLIP) + _BIAS
    segment = np.clip(np.floor(np.log2(biased)).astype(np.int32) - 7, 0, 7)
    step = (biased >> (segment + 3)) & 0x0F
    code = np.where(is_negative, 0x80, 0) | (segment << 4) | step
    return np.asarray(~code & 0xFF, dtype=np.uint8)


_DECODE = _decoding_table()
_ENCODE = _encoding_table()


def decode(mulaw: bytes) -> NDArray[np.int16]:
    """Samples, int16[len(mulaw)]; every byte string is valid."""
    return _DECODE[np.frombuffer(mulaw, dtype=np.uint8)]


def encode(samples: NDArray[np.int16]) -> bytes:
    """One byte for each of int16[n]; other dtypes are a programming error."""
    if samples.dtype != np.int16:
        raise TypeError(f"mu-law encodes int16 samples, not {samples.dtype}")
    return _ENCODE[samples.view(np.uint16)].tobytes()
