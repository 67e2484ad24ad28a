from datetime import time

import pytest
from nlu_expectations import TODAY, asking, value

from voicebot.events import Hypothesis, SlotType
from voicebot.nlu.interpreter import interpret

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2026-11-18"),
        ("tomorrow", "2026-11-19"),
        ("the day after tomorrow", "2026-11-20"),
        ("yesterday", "2026-11-17"),
        ("Friday", "2026-11-20"),
        ("this Friday", "2026-11-20"),
        ("next Friday", "2026-11-27"),
        ("Friday next week", "2026-11-27"),
        ("last Friday", "2026-11-13"),
        ("Wednesday", "2026-11-25"),
        ("next week", "2026-11-25"),
        ("in three days", "2026-11-21"),
        ("two weeks from now", "2026-12-02"),
        ("a week ago", "2026-11-11"),
        ("in a month", "2026-12-18"),
        ("three months ago", "2026-08-18"),
        ("the third of May", "2027-05-03"),
        ("May 3rd", "2027-05-03"),
        ("Dec. 24", "2026-12-24"),
        ("may third twenty twenty eight", "2028-05-03"),
        ("december twenty fourth nineteen eighty", "1980-12-24"),
        ("12/24/2027", "2027-12-24"),
        ("3/5", "2027-03-05"),
        ("2026-12-24", "2026-12-24"),
        ("the fifteenth", "2026-12-15"),
        ("the thirty first", "2026-12-31"),
        ("February 29", "2028-02-29"),
        ("Friday the 20th of November", "2026-11-20"),
        ("a week from Friday", "2026-11-27"),
        ("Friday week", "2026-11-27"),
        ("two days after tomorrow", "2026-11-21"),
        ("the first Monday in December", "2026-12-07"),
        ("the last Friday of May", "2027-05-28"),
        ("the end of the month", "2026-11-30"),
        ("this weekend", "2026-11-21"),
        ("Thanksgiving", "2026-11-26"),
        ("Christmas Eve", "2026-12-24"),
        ("New Year's Day", "2027-01-01"),
        ("31 February", None),
        ("13/13/2026", None),
        ("2026-99-99", None),
        ("the first one", None),
        ("I may do that", None),
        ("the last Friday of the month", "2026-11-27"),
        ("last Friday of the month", "2026-11-27"),
        ("the last day of the month", "2026-11-30"),
        ("the first Monday of next month", "2026-12-07"),
        ("the first Monday of the month", None),  # is past
        ("the second Tuesday", None),  # of which month?
        ("Friday the twenty seventh", "2026-11-27"),
        ("Friday, December 4th", "2026-12-04"),
        ("Friday the thirteenth", None),  # not for a long time
        ("Friday December fifth", None),  # is a Saturday
        ("Friday first thing", "2026-11-20"),
        ("Monday or Tuesday", None),
        ("the Friday after next", None),
        ("on Monday or maybe on Tuesday", None),
    ],
)
def test_dates(text: str, expected: str | None) -> None:
    assert value(text, SlotType.DATE) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two thirty pm", "14:30"),
        ("2:30 P.M.", "14:30"),
        ("half past two", "14:30"),
        ("a quarter to five", "16:45"),
        ("quarter past nine", "09:15"),
        ("ten minutes to one", "12:50"),
        ("14:30", "14:30"),
        ("08:05", "08:05"),
        ("noon", "12:00"),
        ("midnight", "00:00"),
        ("12 am", "00:00"),
        ("three o'clock", "15:00"),
        ("eight", "08:00"),
        ("8 in the morning", "08:00"),
        ("at eight tonight", "20:00"),
        ("nine fifteen", "09:15"),
        ("five oh five", "17:05"),
        ("fourteen thirty", "14:30"),
        ("ten to noon", "11:50"),
        ("quarter past midnight", "00:15"),
        ("nineteen hundred hours", "19:00"),
        ("twelve thirty am", "00:30"),
        ("half seven", "07:30"),
        ("in twenty minutes", None),  # from when? see below
        ("an hour later", None),
        ("two hours", None),
        ("ten past", None),
        ("twenty past", None),
        ("seven or eight", None),
        ("seven ish or eight", None),
        ("seven to eight", None),
        ("seven minutes to eight", "07:53"),
        ("five to eight", "07:55"),
        ("twenty to eight", "07:40"),
        ("between seven and eight", None),
        ("25:00", None),
        ("thirty", None),
    ],
)
def test_times(text: str, expected: str | None) -> None:
    assert value(text, SlotType.TIME) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in twenty minutes", "11:00"),
        ("in an hour", "11:40"),
        ("in half an hour", "11:10"),
        ("an hour from now", "11:40"),
        ("in an hour and a half", "12:10"),
        ("in a quarter of an hour", "10:55"),
        ("right now", "10:40"),
        ("now", "10:40"),
        ("in fourteen hours", None),  # tomorrow
        ("an hour later", None),
        ("half an hour", None),
        ("ten minutes to one", "12:50"),
    ],
)
def test_times_from_now(text: str, expected: str | None) -> None:
    said = Hypothesis(text, confidence=0.9)
    found = interpret(said, asking(SlotType.TIME), today=TODAY, now=time(10, 40)).slots
    assert [slot.value for slot in found] == ([expected] if expected else [])
