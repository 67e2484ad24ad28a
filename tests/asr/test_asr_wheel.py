import hashlib
import importlib.util
import sys

import pytest

from voicebot.asr import checkpoint, wheel
from voicebot.errors import ModelUnavailable

pytestmark = pytest.mark.unit


def test_the_installed_wheel_is_the_one_described():
    folder = wheel.find_folder()
    for name, expected in wheel.SHA256.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
    tokens = wheel.parse_vocabulary((folder / wheel.VOCABULARY).read_bytes())
    assert len(tokens) == 32768
    assert tokens[:3] == [b"<unk>", b"<s>", b"</s>"]


def test_lengths_of_128_and_more_take_two_bytes():
    long = b"x" * 300
    assert wheel.parse_vocabulary(b"\x02ab" + bytes([128 + 300 % 128, 300 // 128]) + long) == [
        b"ab",
        long,
    ]


def test_a_missing_wheel_is_one_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"pip install moonshine-voice==0\.0\.62") as caught:
        wheel.find_folder()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("is_shipped", [True, False])
def test_without_the_extra_it_is_said_what_is_lacking(monkeypatch, tmp_path, is_shipped):
    shipped = tmp_path / "telephone.safetensors"
    if is_shipped:
        shipped.write_bytes(b"")
    monkeypatch.setattr(checkpoint, "SHIPPED", shipped)
    monkeypatch.setitem(sys.modules, "voicebot.asr.wheel", None)  # as where its needs are not there
    monkeypatch.delattr("voicebot.asr.wheel", raising=False)
    with pytest.raises(ModelUnavailable, match=r"pip install 'voicebot\[learn\]'") as caught:
        checkpoint.load_weights(tmp_path)
    assert ("is missing" in str(caught.value)) is not is_shipped
    assert "untouched weights" in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"another model"])
def test_other_files_are_refused(tmp_path, content):
    if content is not None:
        for name in wheel.SHA256:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=wheel.ENCODER):
        wheel.read_model(tmp_path)


def test_missing_calibration_speech_is_named(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"beckett\.wav"):
        wheel.read_speech(tmp_path)
