"""`asr.service=none`: an IVR of keys answers without a recogniser."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from voicebot.audio import mulaw
from voicebot.config import load_settings
from voicebot.server import doctor
from voicebot.server.placing import place
from voicebot.telephony.simulator import CallerTurn

KEYS_ONLY = (
    "I cannot understand speech at the moment. Please answer with the keys of your telephone."
)
PLAN = """\
name: Keys only
timeouts: {digits: 300ms, incomplete: 300ms}
forms:
  card:
    fields:
      card:
        type: digits
        length: 4
        prompt: Card?
        nomatch: Use keys.
    filled:
      - disconnect: {outcome: entered, goal: true}
"""


@pytest.mark.e2e
async def test_keys_are_taken_and_speech_is_not_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*arguments: object) -> None:
        raise AssertionError("a recogniser was loaded")

    monkeypatch.setattr("voicebot.asr.recogniser.Recogniser.__init__", unwanted)
    plan = tmp_path / "keys.yaml"
    plan.write_text(PLAN)
    settings = load_settings(
        _env_file=None,
        asr={"service": "none", "cache_dir": tmp_path},
        store={"journal": tmp_path / "journal.sqlite"},
    )
    turns = [CallerTurn(audio=_speech(), label="speech"), CallerTurn(keys="1234")]
    report = await place(settings, plan=plan, turns=turns)
    assert report.outcome == "entered"
    assert dict(report.slots) == {"card": "1234"}
    texts = [turn["bot"] for turn in report.turns]
    assert any("Use keys." in text for text in texts)


@pytest.mark.e2e
async def test_a_call_whose_recogniser_is_lost_says_so_once_and_goes_on_by_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No replica answers, and there is no recogniser here to fall back to."""
    monkeypatch.setattr("voicebot.server.asr_serve_client.FIRST_CONNECTION_S", 0.05)
    monkeypatch.setattr("voicebot.server.asr_serve_call.FALLBACK_S", 0.2)
    plan = tmp_path / "keys.yaml"
    plan.write_text(PLAN)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings = load_settings(
        _env_file=None,
        asr={"cache_dir": tmp_path},
        recogniser={"url": f"ws://127.0.0.1:{port}", "fallback": "keys"},
        store={"journal": tmp_path / "journal.sqlite"},
    )
    speech = _speech()
    turns = [
        CallerTurn(audio=speech, label="speech"),
        CallerTurn(audio=speech, label="again"),
        CallerTurn(keys="1234"),
    ]
    report = await place(settings, plan=plan, turns=turns)
    assert report.outcome == "entered"
    assert dict(report.slots) == {"card": "1234"}
    said = [turn["bot"] for turn in report.turns]
    assert [text.count(KEYS_ONLY) for text in said].count(1) == 1
    assert any(text.endswith(f"{KEYS_ONLY} Card?") for text in said)
    assert any("Use keys." in text for text in said)  # the second time it is a nomatch


@pytest.mark.unit
def test_doctor_says_that_nobody_recognises(tmp_path: Path) -> None:
    settings = load_settings(_env_file=None, asr={"service": "none", "cache_dir": tmp_path})
    assert doctor._recogniser(settings) == "none: keys only"


def _speech() -> bytes:
    """Something that the VAD takes for speech: the embedded voice."""
    from voicebot.speech.telephone import to_telephone
    from voicebot.speech.voices import EspeakVoice

    text = "Hello, hello."
    spoken = to_telephone(text, EspeakVoice().render(text)).mulaw
    return spoken + mulaw.encode(np.zeros(800, np.int16))
