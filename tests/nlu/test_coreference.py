""" "The same day", "that one", "make it two": values that callers only point at."""

import pytest
from nlu_expectations import TODAY

from voicebot.events import Choice, Expectation, SlotSpec, SlotType, SlotValue
from voicebot.nlu.coreference import resolve

pytestmark = pytest.mark.unit

SLOTS = (
    SlotSpec("day", SlotType.DATE),
    SlotSpec("return_day", SlotType.DATE),
    SlotSpec("at", SlotType.TIME),
    SlotSpec("people", SlotType.NUMBER),
    SlotSpec("account", SlotType.CHOICE, (Choice("checking"), Choice("savings"))),
    SlotSpec("phone", SlotType.PHONE, (), 10, 10),
)
DAY = SlotValue("day", "2026-11-20")
AT = SlotValue("at", "14:30")
PEOPLE = SlotValue("people", "4")
ACCOUNT = SlotValue("account", "checking")


def pointed(text: str, focus: str | None, *recent: SlotValue) -> dict[str, str]:
    waiting = Expectation(focus=focus, slots=SLOTS)
    return {v.name: v.value for v in resolve(text, waiting, recent, today=TODAY)}


@pytest.mark.parametrize(
    ("text", "focus", "recent", "meant"),
    [
        ("the same day", "return_day", (DAY, AT), {"return_day": "2026-11-20"}),
        ("on the same day please", "return_day", (DAY, AT), {"return_day": "2026-11-20"}),
        ("that day again", "return_day", (DAY,), {"return_day": "2026-11-20"}),
        ("at the same time", "at", (AT, PEOPLE), {"at": "14:30"}),
        ("that one", "account", (ACCOUNT, DAY), {"account": "checking"}),
        ("yes that one please", "account", (ACCOUNT,), {"account": "checking"}),
        ("the same account", "account", (ACCOUNT,), {"account": "checking"}),
        ("same again", "people", (PEOPLE, DAY), {"people": "4"}),
        ("the other one", "account", (ACCOUNT,), {"account": "savings"}),
        ("make it two", None, (DAY, PEOPLE), {"people": "2"}),
        ("no make that six please", "phone", (PEOPLE,), {"people": "6"}),
        ("make it half past three", None, (AT, PEOPLE), {"at": "15:30"}),
        ("change it to savings", None, (ACCOUNT,), {"account": "savings"}),
        ("tomorrow instead", None, (DAY, ACCOUNT), {"day": "2026-11-19"}),
    ],
)
def test_what_is_pointed_at_is_found(
    text: str, focus: str | None, recent: tuple[SlotValue, ...], meant: dict[str, str]
) -> None:
    assert pointed(text, focus, *recent) == meant


@pytest.mark.parametrize(
    ("text", "focus", "recent"),
    [
        ("that one", "account", ()),  # nothing was said before
        ("that one", "account", (DAY,)),  # a day is no account
        ("the same phone", "phone", (PEOPLE,)),
        ("the same day", None, (AT,)),
        ("the other one", "day", (DAY,)),
        ("I said that it was fine", "account", (ACCOUNT,)),
        ("make it snappy", None, (PEOPLE,)),
        ("", "account", (ACCOUNT,)),
        ("?", "account", (ACCOUNT,)),
    ],
)
def test_nothing_is_made_up(text: str, focus: str | None, recent: tuple[SlotValue, ...]) -> None:
    assert pointed(text, focus, *recent) == {}


def test_a_value_only_pointed_at_is_less_sure() -> None:
    (value,) = resolve("that one", Expectation(focus="day", slots=SLOTS), (DAY,), today=TODAY)
    assert value.confidence < 0.9
    assert value.text == "that one"
