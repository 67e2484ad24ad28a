import io
import warnings

import numpy as np
import pytest
import soundfile as sf

from voicebot.audio import mulaw

pytestmark = pytest.mark.unit

ALL_CODES = bytes(range(256))
ALL_SAMPLES = np.arange(-32768, 32768).astype(np.int16)


def test_decodes_every_code_as_libsndfile_does() -> None:
    reference, _ = sf.read(
        io.BytesIO(ALL_CODES),
        dtype="int16",
        samplerate=8000,
        channels=1,
        format="RAW",
        subtype="ULAW",
    )
    assert np.array_equal(mulaw.decode(ALL_CODES), reference)


def test_encodes_every_sample_as_audioop_does() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="left the standard library in 3.13")
    assert mulaw.encode(ALL_SAMPLES) == audioop.lin2ulaw(ALL_SAMPLES.tobytes(), 2)
    assert mulaw.decode(ALL_CODES).tobytes() == audioop.ulaw2lin(ALL_CODES, 2)


def test_values_of_the_standard() -> None:
    """Anchors that hold without a reference library: ITU-T G.711 table 2, scaled to 16 bits."""
    assert mulaw.decode(b"\x80\x00\xff\x7f\x8f").tolist() == [32124, -32124, 0, 0, 16764]
    assert mulaw.encode(np.array([0, 32767, -32768], np.int16)) == b"\xff\x80\x00"


def test_error_is_at_most_half_a_step_of_the_segment() -> None:
    """Steps double from segment to segment: 8 at the zero, 1024 at full scale (of 32768)."""
    decoded = mulaw.decode(mulaw.encode(ALL_SAMPLES)).astype(np.int32)
    assert (np.diff(decoded) >= 0).all()
    step = 2.0 ** (np.floor(np.log2(np.abs(decoded) + 132)) - 4)
    error = np.abs(decoded - ALL_SAMPLES)
    is_coded = np.abs(ALL_SAMPLES.astype(np.int32)) <= 32636  # beyond, the standard clips
    shifted_out = 3  # the two lowest bits are dropped before coding
    assert (error <= step / 2 + shifted_out)[is_coded].all()


def test_codes_survive_a_round_trip() -> None:
    again = mulaw.encode(mulaw.decode(ALL_CODES))
    assert again[:0x7F] == ALL_CODES[:0x7F]
    assert again[0x80:] == ALL_CODES[0x80:]
    assert again[0x7F:0x80] == mulaw.SILENCE  # G.711 has two zeros; the positive one is sent


def test_silence_is_zero_and_empty_stays_empty() -> None:
    assert mulaw.decode(mulaw.SILENCE).tolist() == [0]
    assert mulaw.encode(mulaw.decode(b"")) == b""


def test_strided_and_wrong_input() -> None:
    samples = ALL_SAMPLES[::-3]
    assert mulaw.encode(samples) == mulaw.encode(samples.copy())
    with pytest.raises(TypeError, match="int16"):
        mulaw.encode(np.zeros(3, np.float32))  # type: ignore[arg-type]
