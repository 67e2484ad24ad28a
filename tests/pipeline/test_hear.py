from collections.abc import Sequence

import pytest
from fakes import InlineEngine, LoudnessVad
from virtual_time import run

from voicebot.engine.runner import Runner
from voicebot.engine.scheduler import Job, JobKind
from voicebot.events import Digit, Hypothesis, KeysEntered, MessageTaken, TakeMessage
from voicebot.pipeline.clock import CallClock
from voicebot.pipeline.frames import CallerAudio
from voicebot.pipeline.hear import BACKLOG_EVENTS, Hear, Recognised
from voicebot.pipeline.message import MessageRecorder

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


class Noting:
    """A listener that notes until when it was told that time passed, and by what."""

    def __init__(self) -> None:
        self.overdue_at: list[int] = []
        self.ticks: list[int] = []

    def overdue(self, at: int) -> Sequence[object]:
        self.overdue_at.append(at)
        return []

    def tick(self, at: int) -> Sequence[object]:
        self.ticks.append(at)
        return []


class Busy(InlineEngine):
    """An engine that has yet to hear what it is given."""

    def push(self, *_: object) -> None:
        pass


class Silent(Quiet):
    def plays_after(self, at: int) -> bool:
        return False


class Wall:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def hearing(wall: Wall, listener: Noting) -> tuple[Hear, CallClock]:
    clock = CallClock(wall)
    engine = Busy(Runner(1, LoudnessVad(), None))  # type: ignore[arg-type]
    return Hear(
        engine,  # type: ignore[arg-type]
        listener,  # type: ignore[arg-type]
        clock,
        Silent(),  # type: ignore[arg-type]
        lambda event: None,
        is_local=True,
    ), clock


def test_time_does_not_pass_by_the_clock_while_the_engine_is_at_what_came_before() -> None:
    async def stall() -> None:
        wall, noting = Wall(), Noting()
        hear, clock = hearing(wall, noting)
        hear.take_audio(CallerAudio(clock.place(800, 0), bytes(800)))
        wall.s += 0.8
        hear._watch()
        assert noting.overdue_at == [], "half a second of it is still to be heard"
        wall.s += 0.5
        hear._watch()
        assert noting.overdue_at == [clock.latest], "the engine is not waited for any longer"
        await hear.cleanup()

    run(stall())


def test_time_does_not_pass_by_a_burst_that_the_engine_has_only_just_got() -> None:
    async def burst() -> None:
        wall, noting = Wall(), Noting()
        hear, clock = hearing(wall, noting)
        hear.take_audio(CallerAudio(clock.place(160, 0), bytes(160)))
        wall.s += 3
        for number in range(150):
            hear.take_audio(CallerAudio(clock.place(160, 20 + 20 * number), bytes(160)))
        assert noting.ticks == []
        for number in range(60):
            wall.s += 0.02
            hear.take_audio(CallerAudio(clock.place(160, 3020 + 20 * number), bytes(160)))
        assert noting.ticks, "it lags: the timers go on without it"
        await hear.cleanup()

    run(burst())


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_message_begins_when_it_is_known_that_the_sender_had_slept(has_begun: bool) -> None:
    message = MessageRecorder(TakeMessage("it"), 0 if has_begun else 30000)
    message.heard(6000, 0.0)
    message.sooner(24000)
    message.audio(6000, bytes(4000))
    message.heard(10000, 0.9)

    async def keep(_: str, audio: bytes) -> str:
        return str(len(audio))

    taken = run(message.taken("hangup", keep))
    seconds = 0.5
    assert taken == MessageTaken("it", seconds, "4000", "hangup")
