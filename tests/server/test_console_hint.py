"""What `voicebot serve` tells the person who starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.config import load_settings
from voicebot.dialogue.plan import load_plan
from voicebot.server.answering import console_hint

pytestmark = pytest.mark.unit

BARISTA = load_plan(Path(__file__).parents[2] / "dialplans" / "barista.yaml")
OPEN = "Whoever reaches this address can place calls"


@pytest.mark.parametrize(
    ("server", "twilio", "is_open"),
    [
        ({}, {}, False),
        ({"host": "::1"}, {}, False),
        ({"host": "0.0.0.0"}, {}, True),
        ({"public_url": "https://voice.example.com"}, {}, True),
        ({"host": "0.0.0.0"}, {"auth_token": "secret"}, False),
    ],
)
def test_a_server_that_anybody_can_call_says_so(
    server: dict[str, str], twilio: dict[str, str], is_open: bool
) -> None:
    settings = load_settings(_env_file=None, server=server, twilio=twilio)
    text = console_hint(settings, BARISTA, "http://127.0.0.1:8080")
    assert (OPEN in text) is is_open
    assert "secret" not in text


def test_the_addresses_are_those_to_enter_in_the_console() -> None:
    settings = load_settings(_env_file=None, server={"public_url": "https://voice.example.com/"})
    text = console_hint(settings, BARISTA, "http://127.0.0.1:8080")
    assert "https://voice.example.com/twilio/voice, HTTP POST" in text
    assert "https://voice.example.com/twilio/status, HTTP POST" in text
