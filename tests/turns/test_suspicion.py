"""Echo that the canceller does not see: the reference is lost, or the echo comes too late."""

import pytest
from test_listener import Room

from voicebot.audio.delay import MAX_DELAY_MS
from voicebot.events import SAMPLE_RATE_HZ, BargeIn, BargeInRejected, EchoState
from voicebot.turns.suspicion import UNSEEN_SAMPLES, Suspicion

pytestmark = pytest.mark.unit

NONE, FAINT, UNLOCKED, LOCKED = (
    EchoState.NONE,
    EchoState.FAINT,
    EchoState.UNLOCKED,
    EchoState.LOCKED,
)


def test_what_the_canceller_does_not_see_while_the_bot_speaks_may_be_echo() -> None:
    suspicion = Suspicion()
    assert suspicion.weigh(0, NONE, is_audible=False) is NONE
    assert suspicion.weigh(256, NONE, is_audible=True) is UNLOCKED
    assert suspicion.weigh(256 + UNSEEN_SAMPLES, NONE, is_audible=False) is UNLOCKED
    assert suspicion.weigh(512 + UNSEEN_SAMPLES, NONE, is_audible=False) is NONE


def test_an_unseen_echo_is_waited_for_twice_as_long_as_the_canceller_looks_back() -> None:
    assert UNSEEN_SAMPLES == 2 * MAX_DELAY_MS * SAMPLE_RATE_HZ // 1000


@pytest.mark.parametrize(("known", "weighed"), [(FAINT, NONE), (LOCKED, LOCKED)])
def test_what_is_known_is_no_suspicion(known: EchoState, weighed: EchoState) -> None:
    suspicion = Suspicion()
    suspicion.weigh(0, UNLOCKED, is_audible=True)
    assert suspicion.weigh(256, known, is_audible=True) is weighed
    assert suspicion.weigh(512, NONE, is_audible=False) is NONE


@pytest.mark.parametrize(("echo", "floors"), [(NONE, 0), (FAINT, 1)])
def test_the_bots_own_words_take_the_floor_only_where_nothing_comes_back(
    echo: EchoState, floors: int
) -> None:
    room = Room(says="balance payments or agent")
    room.bot_text = "Please say balance, payments or agent."
    room.is_audible, room.echo = True, echo
    room.expect()
    room.silence(1)
    room.speech(0.8)
    room.is_audible = False  # the candidate has paused the prompt
    room.silence(1)
    assert len(room.of(BargeIn)) == floors
    assert len(room.of(BargeInRejected)) == 1 - floors
