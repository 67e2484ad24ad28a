"""A call that nobody hears any more: the dialogue learns it once, when it waits for the caller."""

from __future__ import annotations

import pytest
from fakes import InlineEngine, LoudnessVad
from virtual_time import run

from voicebot.engine.ears import make_listener
from voicebot.engine.runner import HearingLost, Runner
from voicebot.events import CallerTurn, Expectation, Listen
from voicebot.pipeline.clock import CallClock
from voicebot.pipeline.frames import EventFrame
from voicebot.pipeline.hear import Hear
from voicebot.turns.listener import Listener

pytestmark = pytest.mark.pipeline


class Quiet:
    def is_audible(self, now: int) -> bool:
        return False

    def barge_in_mode(self, now: int) -> None:
        return None


def make_hear(listener: Listener) -> Hear:
    return Hear(
        InlineEngine(Runner(1, LoudnessVad(), None)),  # type: ignore[arg-type]
        listener,
        CallClock(lambda: 0.0),
        Quiet(),  # type: ignore[arg-type]
        lambda event: None,
        is_local=True,
    )


def told(hear: Hear) -> list[bool]:
    """Turns of the caller that wait for the dialogue: whether each was unheard."""
    found = []
    while not hear._events.empty():
        event = hear._events.get_nowait()
        if isinstance(event, CallerTurn):
            found.append(event.hypothesis.is_unheard)
    return found


@pytest.mark.parametrize("is_waited_for", [True, False])
def test_the_dialogue_is_told_once_when_it_waits(is_waited_for: bool) -> None:
    async def lose() -> None:
        hear = make_hear(make_listener(str))
        ask = EventFrame(event=Listen(Expectation("here")))
        if is_waited_for:
            await hear.process_frame(ask, None)  # type: ignore[arg-type]
        hear.on_heard([HearingLost(0, 0)])
        assert told(hear) == ([True] if is_waited_for else [])
        await hear.process_frame(ask, None)  # type: ignore[arg-type]
        assert told(hear) == ([] if is_waited_for else [True])
        await hear.process_frame(ask, None)  # type: ignore[arg-type]
        assert told(hear) == []
        await hear.cleanup()

    run(lose())


def test_what_is_heard_again_before_anybody_asked_is_not_told() -> None:
    async def lose() -> None:
        hear = make_hear(make_listener(str))
        hear.on_heard([HearingLost(0, 0), HearingLost(0, 800, is_back=True)])
        await hear.process_frame(EventFrame(event=Listen(Expectation("here"))), None)  # type: ignore[arg-type]
        assert told(hear) == []
        await hear.cleanup()

    run(lose())
