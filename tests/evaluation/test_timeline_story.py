"""A call's lines become spans and marks, also when lines are missing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.evaluation.timeline_story import Mark, Span, tell

pytestmark = pytest.mark.unit


def line(at_s: float, event: str, **data: Any) -> dict[str, Any]:
    return {"at": int(at_s * 8000), "t": at_s, "event": event, **data}


DRINK = {"name": "drink", "value": "latte"}


def test_a_turn_from_prompt_to_answer() -> None:
    heard = {"text": "a latte", "confidence": 0.5}
    ended = {"reason": "completetimeout", "speech_start_at": 16_000, "speech_end_at": 24_000}
    story = tell(
        [
            line(0, "prompt_started"),
            line(1, "prompt_heard", text="What would you like?", was_cut=False),
            line(1, "prompt_ended"),
            line(2, "speech_started"),
            line(2.5, "hypothesis", text="a lad"),
            line(2.8, "hypothesis", text="a latte"),
            line(3, "speech_ended"),
            line(3.25, "hypothesis", text="a latte", is_final=True),
            line(3.25, "caller_turn", ended=ended, hypothesis=heard),
            line(
                3.25, "interpretation", intent="order", slots=[{"name": "drink", "value": "latte"}]
            ),
            line(3.5, "prompt_started"),
            line(5, "prompt_heard", text="One", was_cut=True),
            line(6, "call_ended", outcome="ordered"),
        ]
    )
    assert story.prompts == [Span(0, 1, "What would you like?"), Span(3.5, 5, "One", True)]
    assert story.speech == [Span(2, 3)]
    assert story.responses == [Span(3, 3.5)]
    assert story.partials == [Mark(2.5, "partial", "a lad"), Mark(2.8, "partial", "latte")]
    assert story.finals == [Mark(2, "caller_turn", "a latte  0.50")]
    assert story.marks == [
        Mark(3.25, "turn_ended", "complete"),
        Mark(3.25, "interpretation", "order drink=latte"),
        Mark(6, "call_ended", "call ended"),
    ]
    assert (story.duration_s, story.outcome) == (6, "ordered")


def test_queued_prompts_follow_each_other() -> None:
    story = tell(
        [
            line(1, "prompt_started"),
            line(2, "prompt_heard", text="One."),
            line(4, "prompt_heard", text="Two."),
            line(4, "prompt_ended"),
            line(9, "prompt_heard", text="Never started."),
        ]
    )
    assert story.prompts == [Span(1, 2, "One."), Span(2, 4, "Two.")]


def test_prompts_with_a_start_and_an_end_only() -> None:
    story = tell(
        [
            line(1, "prompt_started", text="Hello"),
            line(2, "prompt_ended"),
            line(3, "play", parts=["You have", {"value": "4.50", "kind": "money"}]),
            line(3, "prompt_started"),
            line(4, "prompt_ended"),
        ]
    )
    assert story.prompts == [Span(1, 2, "Hello"), Span(3, 4, "You have 4.50")]


def test_a_crash_ends_what_was_open() -> None:
    story = tell([line(1, "prompt_started"), line(2, "speech_started"), line(3, "barge_in")])
    assert story.speech == [Span(2, 3)]
    assert story.prompts == [Span(1, 3, "", True)]


def test_keys_are_answered_too() -> None:
    story = tell(
        [
            line(1, "digit", key="4"),
            line(1.5, "keys_entered", keys="4"),
            line(2, "prompt_started"),
            line(2.5, "no_input"),
        ]
    )
    assert story.responses == [Span(1.5, 2)]
    assert [mark.kind for mark in story.marks] == ["digit", "keys_entered", "no_input"]


def test_nothing_recognised_and_nothing_understood() -> None:
    story = tell(
        [
            line(1, "caller_turn", ended={"reason": "noinput"}, hypothesis={"text": ""}),
            line(1, "interpretation", intent=None, slots=[]),
        ]
    )
    assert story.finals[0].text == "(nothing recognised)"
    assert story.marks[1].text == "nomatch"


EVENTS = st.sampled_from(
    [
        *("play", "prompt_started", "prompt_heard", "prompt_ended", "speech_started"),
        *("speech_ended", "hypothesis", "caller_turn", "turn_ended", "interpretation", "digit"),
        *("barge_in", "no_input", "call_ended", "odd", "mark", "finish"),
    ]
)
VALUES = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
KEYS = ["text", "was_cut", "ended", "hypothesis", "slots", "parts", "reason", "is_final"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda at, event, data: {"at": at, "event": event, **data},
            st.integers(0, 10**6),
            EVENTS,
            st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
        )
    )
)
def test_any_lines_tell_a_story(lines: list[dict[str, Any]]) -> None:
    story = tell(lines)
    for span in [*story.prompts, *story.speech, *story.responses]:
        assert 0 <= span.begin_s <= span.end_s <= story.duration_s
