"""Words of the prompt, heard over it: the bot's echo, or a caller who chooses one of them."""

from __future__ import annotations

import pytest

from voicebot.events import (
    BargeIn,
    BargeInCandidate,
    BargeInRejected,
    Choice,
    Completeness,
    EchoState,
    Expectation,
    Hypothesis,
    SlotSpec,
    SlotType,
    SpeechStarted,
)
from voicebot.turns.backchannel import verdict
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.floor import Floor
from voicebot.turns.hotword_head import HotWordWatch

pytestmark = pytest.mark.unit

SAID = "You can say savings account or joint account"
MENU = Expectation(
    focus="account",
    slots=(SlotSpec("account", SlotType.CHOICE, (Choice("savings account"),)),),
)


@pytest.mark.parametrize(
    ("confidence", "completeness", "is_locked", "expected"),
    [
        (0.7, Completeness.COMPLETE, True, "floor"),  # the caller chooses it
        (0.5, Completeness.COMPLETE, True, "echo"),
        (0.7, Completeness.NONE, True, "echo"),  # nobody is asked for it
        (0.9, Completeness.NONE, True, "floor"),
        (0.7, Completeness.COMPLETE, False, "echo"),  # the canceller does not remove it
        (0.9, Completeness.COMPLETE, False, "floor"),
    ],
)
def test_few_words_of_the_prompt(
    confidence: float, completeness: Completeness, is_locked: bool, expected: str
) -> None:
    found = verdict(
        "account" if not is_locked else "savings account",
        completeness,
        MENU,
        bot_text=SAID,
        is_locked=is_locked,
        spoken_ms=700.0,
        confidence=confidence,
    )
    assert found == expected


LOCKED, MOVED, NEVER = (True, False), (False, True), (False, False)
"""Whether the echo is followed, and whether it was before."""


@pytest.mark.parametrize(
    ("spoken_ms", "confidence", "completeness", "echo", "expected"),
    [
        (64.0, 0.7, Completeness.NONE, LOCKED, "echo"),  # no word is as short
        (32.0, 0.97, Completeness.NONE, LOCKED, "echo"),  # however sure it seems
        (160.0, 0.97, Completeness.NONE, LOCKED, "floor"),  # "stop" said briskly
        (160.0, 0.8, Completeness.NONE, LOCKED, "echo"),
        (288.0, 0.8, Completeness.NONE, LOCKED, "floor"),
        (288.0, 0.98, Completeness.NONE, MOVED, "echo"),
        (96.0, 0.8, Completeness.COMPLETE, LOCKED, "echo"),
        (96.0, 0.95, Completeness.COMPLETE, LOCKED, "floor"),  # a bare digit that was asked for
        (130.0, 0.8, Completeness.EXTENDABLE, LOCKED, "floor"),  # and one of several
        (130.0, 0.8, Completeness.EXTENDABLE, MOVED, "echo"),
        (260.0, 0.8, Completeness.COMPLETE, MOVED, "floor"),
        (600.0, 0.5, Completeness.NONE, LOCKED, "floor"),
        # A handset's caller in the first prompt: of what he says little passes for his.
        (32.0, 0.99, Completeness.NONE, NEVER, "floor"),
        (224.0, 0.75, Completeness.NONE, NEVER, "floor"),
        (450.0, 0.72, Completeness.NONE, NEVER, "floor"),
        (64.0, 0.8, Completeness.EXTENDABLE, NEVER, "floor"),
        (64.0, 0.3, Completeness.NONE, NEVER, "echo"),
    ],
)
def test_scraps_of_echo_are_no_words(
    spoken_ms: float,
    confidence: float,
    completeness: Completeness,
    echo: tuple[bool, bool],
    expected: str,
) -> None:
    is_locked, has_moved = echo
    found = verdict(
        "Six.",
        completeness,
        Expectation(),
        bot_text=SAID,
        is_locked=is_locked,
        has_moved=has_moved,
        spoken_ms=spoken_ms,
        confidence=confidence,
    )
    assert found == expected


def test_without_an_echo_a_sure_short_word_takes_the_floor() -> None:
    found = verdict("Six.", Completeness.NONE, Expectation(), spoken_ms=64.0, confidence=0.7)
    assert found == "floor"


def test_three_words_of_the_prompt_that_answer_nothing_are_its_echo_however_sure() -> None:
    said = "Please tell me the last four digits"
    heard = [
        verdict("Please tell me.", completeness, Expectation(), bot_text=said, confidence=0.99)
        for completeness in (Completeness.NONE, Completeness.COMPLETE)
    ]
    assert heard == ["echo", "floor"]


@pytest.mark.parametrize(
    ("echoes", "takes_floor"),
    [
        ((EchoState.LOCKED, EchoState.LOCKED), True),
        ((EchoState.LOCKED, EchoState.UNLOCKED), False),  # the echo jumped: it was heard
        ((EchoState.LOCKED, EchoState.UNLOCKED, EchoState.UNLOCKED), False),  # or before
        ((EchoState.UNLOCKED, EchoState.UNLOCKED), True),  # a handset's caller, at the very begin
    ],
)
def test_a_sure_short_word_is_echo_where_the_delay_jumped_as_it_was_heard(
    echoes: tuple[EchoState, ...], takes_floor: bool
) -> None:
    floor = Floor(
        BargeInPolicy(), lambda text, of: Completeness.NONE, lambda: SAID, HotWordWatch(0.5)
    )
    floor.prompt(Expectation(), must_be_heard=False)
    said = SpeechStarted(8000, 8768)
    for before in echoes[:-2]:
        floor.heard(None, 7000, is_audible=True, echo=before, of_prompt=None)
    heard = [
        floor.heard(said, at, is_audible=True, echo=echo, of_prompt=None)
        for at, echo in zip((8000 + 1280, 8000 + 1536), echoes[-2:], strict=True)
    ]
    assert isinstance(heard[0], BargeInCandidate)
    found = floor.words(Hypothesis("Seven.", (), 0.98), 12000, ended_at=8000 + 2560)
    assert isinstance(found, BargeIn if takes_floor else BargeInRejected)


@pytest.mark.parametrize(
    ("text", "confidence", "expected"),
    [("Four.", 0.95, "floor"), ("Four.", 0.85, "echo"), ("Sixteen.", 0.99, "echo")],
)
def test_a_sure_digit_that_sounds_like_a_word_of_the_prompt_is_the_callers(
    text: str, confidence: float, expected: str
) -> None:
    number = SlotSpec("number", SlotType.DIGITS, min_length=16, max_length=16)
    found = verdict(
        text,
        Completeness.EXTENDABLE,
        Expectation(focus="number", slots=(number,)),
        bot_text="For your security please read me the sixteen digits on the front",
        is_locked=False,
        spoken_ms=420.0,
        confidence=confidence,
    )
    assert found == expected
