from collections.abc import Sequence

import pytest
from fakes import InlineEngine, LoudnessVad
from virtual_time import run

from voicebot.engine.runner import Runner
from voicebot.engine.scheduler import Job, JobKind
from voicebot.events import Digit, Hypothesis, KeysEntered
from voicebot.pipeline.clock import CallClock
from voicebot.pipeline.hear import BACKLOG_EVENTS, Hear, Recognised

pytestmark = pytest.mark.pipeline


class Chatty:
    """A listener that answers every recognition with a partial, and a key with the keys."""

    def recognised(self, *_: object) -> Sequence[object]:
        return [Hypothesis("and so on")]

    def key(self, digit: Digit) -> Sequence[object]:
        return [Hypothesis("yes", is_final=True), KeysEntered(digit.key, digit.at)]


class Quiet:
    def is_audible(self, now: int) -> bool:
        return False


def test_when_nobody_takes_events_partials_are_shed_and_finals_never() -> None:
    async def pile_up() -> list[object]:
        engine = InlineEngine(Runner(1, LoudnessVad(), None))  # type: ignore[arg-type]
        hear = Hear(
            engine,  # type: ignore[arg-type]
            Chatty(),  # type: ignore[arg-type]
            CallClock(lambda: 0.0),
            Quiet(),
            lambda event: None,
            is_local=True,
        )
        job = Job(0, 1, 1, JobKind.PARTIAL, 0, 8000)
        for _ in range(10 * BACKLOG_EVENTS):
            hear.on_recognised(Recognised(job, Hypothesis("and so on"), 0.1))
        hear._emit(Chatty().key(Digit("1", 0)))
        await hear.cleanup()
        waiting: list[object] = []
        while not hear._events.empty():
            waiting.append(hear._events.get_nowait())
        return waiting

    waiting = run(pile_up())
    assert len(waiting) == BACKLOG_EVENTS + 2
    assert waiting[-2:] == [Hypothesis("yes", is_final=True), KeysEntered("1", 0)]
