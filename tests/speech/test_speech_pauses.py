"""Silences inside a prompt, and values spoken slowly."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.events import Say
from voicebot.speech.prompts import Prompts
from voicebot.speech.verbalise import join
from voicebot.speech.voices import Rendering

pytestmark = pytest.mark.unit


class Humming:
    """Half a second of tone for any text."""

    name, version = "hum", "1"

    def render(self, text: str) -> Rendering:
        times = np.arange(4000 if text else 0)
        wave: NDArray[np.int16] = (9000 * np.sin(times / 3)).astype(np.int16)
        return Rendering(wave, 8000, ())


def test_a_pause_is_as_long_as_it_says_and_not_spoken() -> None:
    prompts = Prompts(Humming())
    parts = ("One moment.", Say("700", "pause"), "Thank you.")
    assert prompts.text(parts) == "One moment. Thank you."
    assert not prompts.is_ready(parts)
    whole = prompts.render(parts)
    assert prompts.is_ready(parts)
    first, second = prompts.render(parts[:1]), prompts.render(parts[2:])
    assert whole.mulaw == first.mulaw + b"\xff" * 5600 + second.mulaw
    assert whole.text == "One moment. Thank you."


@pytest.mark.parametrize(
    "parts", [(Say("100", "pause"),), ("A.", Say("100", "pause")), (Say("100", "pause"), "A.")]
)
def test_pauses_at_the_ends(parts: tuple[str | Say, ...]) -> None:
    prompts = Prompts(Humming())
    spoken = prompts.render(("A.",)).mulaw if "A." in parts else b""
    assert len(prompts.render(parts).mulaw) == len(spoken) + 800


def test_slow_values_have_a_pause_after_each_sign() -> None:
    assert join((Say("123456", "digits", "slow"),)) == "one, two, three, four, five, six"
    assert join((Say("50.00", "money", "slow"),)) == join((Say("50.00", "money"),))
