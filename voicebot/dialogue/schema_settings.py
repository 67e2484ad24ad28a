"""Keys that are set at the plan, overridden by a form, overridden by a field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from voicebot.dialogue import short_forms
from voicebot.dialogue.schema_prompts import BargeIn, Keys, Ladder, Prompt, Universals
from voicebot.dialogue.short_forms import Flag, Patience, Phrases, Real, Silence, Whole
from voicebot.events import MAX_WEIGHT

LONGEST_SPEECH_MS = 25_000
"""The last 30 s of a call are kept: of a longer utterance the beginning would be lost."""


def _speech(ms: int) -> int:
    if ms > LONGEST_SPEECH_MS:
        raise ValueError(f"at most {LONGEST_SPEECH_MS // 1000}s, of which all is understood")
    return ms


class Dtmf(Keys):
    """How keys are collected; VoiceXML's termchar, interdigittimeout and termtimeout."""

    max: Whole | None = Field(None, ge=0, le=40, description="at most so many keys; 0: none at all")
    min: Whole | None = Field(None, ge=1, le=40, description="at least so many keys")
    terminator: Annotated[
        str | None,
        BeforeValidator(
            short_forms.terminator, json_schema_input_type=short_forms.WrittenTerminator | None
        ),
    ] = Field(
        None,
        pattern=r"^[0-9*#A-D]?$",
        description="key that ends the input; default #; false: none",
    )
    interdigit: Patience | None = Field(
        None, description="pause after a key that ends the input; default 2s"
    )
    term: Silence | None = Field(
        None, description="wait for the terminator after the last allowed key; default 0s"
    )
    type_ahead: Flag | None = Field(
        None, description="whether keys pressed before the question count; default true"
    )


class TimeoutKeys(Keys):
    """VoiceXML's timeouts."""

    noinput: Patience | None = Field(None, description="silence after the prompt; default 6s")
    complete: Silence | None = Field(
        None, description="silence after an utterance that cannot go on; default 300ms"
    )
    yes_no: Silence | None = Field(None, description="the same after yes or no; default 350ms")
    incomplete: Silence | None = Field(
        None, description="silence after an utterance that may go on; default 1500ms"
    )
    digits: Silence | None = Field(None, description="the same within digits; default 1500ms")
    max_speech: Annotated[Patience, AfterValidator(_speech)] | None = Field(
        None, description="longest utterance; default 20s, at most 25s"
    )


class Confirm(Keys):
    """When a value is confirmed. Bounds are confidences, 0..1."""

    mode: Literal["always", "never", "by_confidence"] | None = Field(
        None, description="always: ask; never; by_confidence (default): by the bounds below"
    )
    nomatch_below: Real | None = Field(
        None, ge=0, le=1, description="not taken at all, counts as nomatch; default 0.2"
    )
    explicit_below: Real | None = Field(
        None, ge=0, le=1, description="asked for: 'savings, is that right?'; default 0.4"
    )
    implicit_below: Real | None = Field(
        None, ge=0, le=1, description="mentioned before the next question; default 0.6"
    )
    offers: Whole | None = Field(
        None, ge=1, le=5, description="readings asked about before the question again; default 2"
    )
    prompt: Prompt | None = Field(None, description="the question; {{ value }} is what was heard")


Weight = Annotated[Real, Field(ge=0, le=MAX_WEIGHT, allow_inf_nan=False)]


class Inherited(Keys):
    """Set at the plan, overridden by a form, overridden by a field."""

    noinput: Ladder | None = Field(None, description="what happens when the caller is silent")
    nomatch: Ladder | None = Field(None, description="what happens when nothing was understood")
    help: Prompt | None = Field(None, description="answer to the universal 'help'")
    keys_only: Prompt | None = Field(
        None, description="said once where the recogniser is lost and only keys are taken"
    )
    confirm: Annotated[
        Confirm | None,
        BeforeValidator(
            short_forms.confirm,
            json_schema_input_type=Confirm
            | bool
            | Literal["always", "never", "by_confidence"]
            | None,
        ),
    ] = Field(None, description="when a heard value is confirmed")
    barge_in: BargeIn = Field(None, description="what may interrupt a prompt; default speech")
    hints: Phrases | None = Field(None, description="words and names to be recognised better")
    weights: dict[str, Weight] | None = Field(
        None, description="phrases said more often than others, or less: 1 is usual, 0 no help"
    )
    dtmf: Annotated[
        Dtmf | None,
        BeforeValidator(
            lambda value: {"max": 0} if value is False else value,
            json_schema_input_type=Dtmf | Literal[False] | None,
        ),
    ] = Field(None, description="how keys are collected; false: keys are ignored")
    timeouts: TimeoutKeys | None = Field(None, description="how long silences last")
    universals: Universals | None = Field(
        None, description="intents that work everywhere; false switches one off"
    )
