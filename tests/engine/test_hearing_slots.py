"""Compiled loops do not look where they write: who gives them slots does."""

import numpy as np
import pytest

from voicebot.audio import mulaw
from voicebot.audio.echo import EchoCanceller
from voicebot.engine.hearing import BLOCK, Chunk, Hearing
from voicebot.turns.near_end import NearEndDetector
from voicebot.turns.vad import SileroVad

pytestmark = pytest.mark.unit

LOUD = mulaw.encode(np.full(BLOCK, 9000, np.int16))


def test_slots_that_are_not_there_are_refused_and_nothing_is_written() -> None:
    hearing = Hearing(2, SileroVad(2), canceller=EchoCanceller(2), near_end=NearEndDetector(2))
    for wrong in (2, 7, 1 << 40):
        for length in (BLOCK, 90):
            with pytest.raises(IndexError):
                hearing.hear([Chunk(0, 0, LOUD, LOUD), Chunk(wrong, 0, LOUD[:length], b"")])
        for ask in (hearing.reset, hearing.skip, lambda slot: hearing.advance([slot])):
            with pytest.raises(IndexError):
                ask(wrong)
    assert not hearing.span(0, 0, BLOCK).any()
    assert not hearing.span(1, 0, BLOCK).any()
    assert len(hearing.hear([Chunk(0, 2 * BLOCK * at, LOUD * 2, LOUD * 2) for at in range(4)])) == 5
