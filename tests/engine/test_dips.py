"""Partials where the caller's voice falls, instead of some by the clock."""

import numpy as np
import pytest

from voicebot.engine.dips import APART_SAMPLES, FALL_DB, WINDOWS, Dips, fallen_at, is_over
from voicebot.engine.hearing import WINDOW
from voicebot.events import SpeechEnded
from voicebot.turns.utterance import Recognise

pytestmark = pytest.mark.unit
SPEECH, PAUSE, CLICK = -20.0, -60.0, -25.0


class Call:
    """Windows one after the other; `asked` is what the dips ask for."""

    def __init__(self) -> None:
        self.dips, self.at = Dips(), 0
        self.asked: list[Recognise] = []

    def hear(self, level_db: float, windows: int) -> None:
        for _ in range(windows):
            self.asked += self.dips.heard(self.at, level_db)
            self.at += WINDOW

    def ask(self, kind: str = "partial", utterance: int = 1) -> bool:
        """Whether the listener's request goes through."""
        return bool(self.dips.taken([Recognise(utterance, kind, 0, self.at)]))  # type: ignore[arg-type]


def speaking() -> Call:
    call = Call()
    call.hear(PAUSE, 30)
    call.hear(SPEECH, 5)
    assert call.ask()
    call.hear(SPEECH, 20)
    return call


def test_a_partial_is_asked_for_once_where_the_voice_falls() -> None:
    call = speaking()
    call.hear(PAUSE, WINDOWS)
    assert call.asked == [Recognise(1, "partial", 0, call.at)]
    call.hear(PAUSE, 20)
    assert len(call.asked) == 1


def test_behind_a_click_or_a_shallow_dip_there_is_no_fall() -> None:
    call = speaking()
    call.hear(SPEECH - FALL_DB + 1, 3)
    call.hear(SPEECH, 1)
    assert call.asked == []
    call.hear(PAUSE, 3)
    call.hear(CLICK, 1)
    call.hear(PAUSE, 3)
    assert len(call.asked) == 1
    call.hear(SPEECH, 4)
    call.hear(PAUSE, WINDOWS)
    assert len(call.asked) == 2


def test_nothing_is_asked_while_no_utterance_is_open() -> None:
    call = Call()
    call.hear(SPEECH, 20)
    call.hear(PAUSE, 5)
    assert call.asked == [], "the listener asked for nothing yet"
    for end in (SpeechEnded(0, 0), Recognise(1, "speculative", 0, 9000)):
        call = speaking()
        call.dips.taken([end])
        call.hear(PAUSE, 5)
        assert call.asked == []


def test_in_noise_the_voice_falls_to_the_noise() -> None:
    call = Call()
    call.hear(-35.0, 30)
    call.hear(SPEECH, 5)
    assert call.ask()
    call.hear(SPEECH, 20)
    call.hear(-34.0, 2)
    assert len(call.asked) == 1


def test_partials_by_the_clock_are_dropped_where_they_tell_nothing_new() -> None:
    call = speaking()
    call.hear(SPEECH, APART_SAMPLES // WINDOW + 1 - 20)
    assert call.ask()
    call.hear(SPEECH, 3)
    assert call.ask(), "the last had no words: the listener asks again at once"
    call.hear(SPEECH, 12)
    assert not call.ask(), "soon after another"
    call.hear(PAUSE, 4)
    assert len(call.asked) == 1
    call.hear(SPEECH, 3)
    assert not call.ask(), "a dip was just read"
    call.hear(PAUSE, 20)
    assert len(call.asked) == 2
    call.hear(PAUSE, APART_SAMPLES // WINDOW + 1)
    assert not call.ask(), "silence since"
    call.hear(SPEECH, APART_SAMPLES // WINDOW + 1)
    assert call.ask()
    call.hear(SPEECH, 1)
    assert call.ask(utterance=2), "another utterance"


def test_all_other_events_pass() -> None:
    events = [SpeechEnded(0, 0), Recognise(1, "final", 0, 9000), Recognise(1, "hotword", 0, 9000)]
    assert Dips().taken(events) == events


def test_a_steady_hum_never_falls_and_is_asked_about_by_the_clock() -> None:
    call = Call()
    call.hear(-30.0, 80)
    assert call.ask()
    call.hear(-30.0, APART_SAMPLES // WINDOW + 1)
    assert call.asked == []
    assert call.ask()


def sounds(*parts: tuple[float, int]) -> np.ndarray:
    """Windows of noise at levels in dBFS."""
    rng = np.random.default_rng(1)
    levels = np.repeat([level for level, _ in parts], [count * WINDOW for _, count in parts])
    return (10 ** (levels / 20) * rng.normal(0, 1, len(levels))).astype(np.float32)


FAINT = -54.0  # a final "s": more than FALL_DB below the vowels


@pytest.mark.parametrize(
    ("parts", "is_so"),
    [
        ([(SPEECH, 20), (PAUSE, 6)], True),
        ([(SPEECH, 20), (PAUSE, 1), (SPEECH, 1), (PAUSE, 4)], False),  # more was said
        ([(SPEECH, 20), (PAUSE, 2), (FAINT, 4)], False),
        ([(SPEECH, 20), (SPEECH, 2), (PAUSE, 4)], False),  # no quiet before
        ([(PAUSE, 5), (SPEECH, 20), (-30.0, 6)], False),  # nor one now
        ([(PAUSE, 20), (PAUSE, 6)], True),
        ([(SPEECH, 3)], False),  # too little to tell
        ([(PAUSE, 5), (-38.0, 35), (0.0, 3), (-38.0, 14)], False),  # a slam beside quiet words
    ],
)
def test_what_was_read_is_the_whole_if_only_silence_followed(
    parts: list[tuple[float, int]], is_so: bool
) -> None:
    assert is_over(sounds(*parts), 4 * WINDOW) is is_so


def test_the_earliest_reading_follows_the_silence_that_shows_a_fall() -> None:
    said = sounds((PAUSE, 10), (SPEECH, 30), (PAUSE, 6))
    assert fallen_at(said, len(said)) == (40 + WINDOWS) * WINDOW
    said = sounds((PAUSE, 10), (SPEECH, 30))
    assert fallen_at(said, len(said)) == len(said)
