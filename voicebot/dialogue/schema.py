"""The keys of a plan, as pydantic models; descriptions go to the published JSON Schema.

Short forms (`prompt: text`, `goto: name`, `disconnect: outcome`, ...) are turned into the long
form before validation, so that the rest of the room sees one shape only. All keys have
defaults: what is missing is found by `checks`, which knows when it matters.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from voicebot.dialogue import short_forms
from voicebot.dialogue.short_forms import (
    DtmfKey,
    Duration,
    Expression,
    Patience,
    Phrases,
    Silence,
    Text,
)
from voicebot.events import BargeInMode, SlotType

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]*$"
MAX_LADDER = 10

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class Keys(BaseModel):
    """Base: unknown keys are mistakes; nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# ---------------------------------------------------------------- short forms


def _wrap(key: str, model: type[BaseModel]) -> BeforeValidator:
    def wrap(value: object) -> object:
        return {key: short_forms.key_text(value)} if isinstance(value, str | int) else value

    return BeforeValidator(wrap, json_schema_input_type=str | model)


# ---------------------------------------------------------------- prompts and exits


BargeIn = Annotated[
    BargeInMode | None,
    BeforeValidator(short_forms.barge_in, json_schema_input_type=BargeInMode | bool | None),
]


class PromptPart(Keys):
    """A part of a prompt, spoken when its condition holds."""

    say: Text = Field(description="what is spoken; may hold {{ values }} and [optional parts]")
    when: str | None = Field(None, description="condition under which this part is spoken")
    barge_in: BargeIn = Field(
        None, description="what may interrupt this part; default: what may interrupt here"
    )


Prompt = Annotated[
    list[PromptPart],
    BeforeValidator(
        short_forms.say_parts,
        json_schema_input_type=Text | PromptPart | list[Text | PromptPart],
    ),
]


class TransferTo(Keys):
    """Hands the call over."""

    to: Text = Field("", description="E.164 number or SIP URI; may hold {{ values }}")
    outcome: Name = Field("transferred", description="what the journal records")
    goal: bool = Field(False, description="whether this ending is a success")


class DisconnectAs(Keys):
    """Ends the call."""

    outcome: Name = Field("completed", description="what the journal records")
    goal: bool = Field(False, description="whether this ending is a success")


Goto = Annotated[Name, Field(description="form to go on with")]
TransferKey = Annotated[TransferTo, _wrap("to", TransferTo)]
DisconnectKey = Annotated[DisconnectAs, _wrap("outcome", DisconnectAs)]


class Exit(Keys):
    """What may be said and done at the end of a ladder or for a universal."""

    prompt: Prompt | None = Field(None, description="what is spoken")
    goto: Goto | None = None
    transfer: TransferKey | None = Field(None, description="hand the call to a number or SIP URI")
    disconnect: DisconnectKey | None = Field(None, description="end the call with this outcome")

    @property
    def leaves(self) -> bool:
        """Whether the place is left."""
        return not (self.goto is None and self.transfer is None and self.disconnect is None)


class LadderEntry(Exit):
    """One rung: what happens at the count-th noinput or nomatch in a row."""

    count: int | None = Field(
        None, ge=1, le=MAX_LADDER, description="from which time on; default: one after the other"
    )
    reprompt: bool = Field(True, description="ask the question again after this prompt")


Ladder = Annotated[
    list[LadderEntry],
    BeforeValidator(
        short_forms.ladder, json_schema_input_type=Text | LadderEntry | list[Text | LadderEntry]
    ),
]


class Universal(Exit):
    """An intent that works everywhere."""

    phrases: Phrases | None = Field(None, description="what callers say for it")
    dtmf: DtmfKey | None = Field(None, description="key for it")


def _universal(value: object) -> object:
    return None if value is False else {} if value is True or value is None else value


Universals = dict[
    Literal["operator", "help", "repeat", "goodbye", "go_back"],
    Annotated[
        Universal | None,
        BeforeValidator(_universal, json_schema_input_type=Universal | bool),
    ],
]


# ---------------------------------------------------------------- inherited settings


class Dtmf(Keys):
    """How keys are collected; VoiceXML's termchar, interdigittimeout and termtimeout."""

    max: int | None = Field(None, ge=0, le=40, description="at most so many keys; 0: none at all")
    min: int | None = Field(None, ge=1, le=40, description="at least so many keys")
    terminator: Annotated[
        str | None,
        BeforeValidator(
            short_forms.terminator, json_schema_input_type=str | int | Literal[False] | None
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
    type_ahead: bool | None = Field(
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
        None, description="silence after an utterance that may go on; default 900ms"
    )
    digits: Silence | None = Field(None, description="the same within digits; default 1500ms")
    max_speech: Patience | None = Field(None, description="longest utterance; default 20s")


class Confirm(Keys):
    """When a value is confirmed. Bounds are confidences, 0..1."""

    mode: Literal["always", "never", "by_confidence"] | None = Field(
        None, description="always: ask; never; by_confidence (default): by the bounds below"
    )
    nomatch_below: float | None = Field(
        None, ge=0, le=1, description="not taken at all, counts as nomatch; default 0.2"
    )
    explicit_below: float | None = Field(
        None, ge=0, le=1, description="asked for: 'savings, is that right?'; default 0.4"
    )
    implicit_below: float | None = Field(
        None, ge=0, le=1, description="mentioned before the next question; default 0.6"
    )
    prompt: Prompt | None = Field(None, description="the question; {{ value }} is what was heard")


class Inherited(Keys):
    """Set at the plan, overridden by a form, overridden by a field."""

    noinput: Ladder | None = Field(None, description="what happens when the caller is silent")
    nomatch: Ladder | None = Field(None, description="what happens when nothing was understood")
    help: Prompt | None = Field(None, description="answer to the universal 'help'")
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
    hints: list[Text] | None = Field(None, description="words and names to be recognised better")
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


# ---------------------------------------------------------------- steps


class Step(Keys):
    """What is done, in this order: say, set, clear, record, goal, call, do, then the exit."""

    when: str | None = Field(None, description="condition; the step is skipped otherwise")
    say: Prompt | None = Field(None, description="speak")
    set: Annotated[
        dict[Variable, Expression] | None,
        BeforeValidator(
            short_forms.expressions,
            json_schema_input_type=dict[Variable, str | int | float | bool] | None,
        ),
    ] = Field(None, description="variables and the expressions they get")
    clear: Annotated[
        list[Variable] | None,
        BeforeValidator(
            short_forms.listed, json_schema_input_type=Variable | list[Variable] | None
        ),
    ] = Field(None, description="fields and variables to empty; fields are asked again")
    record: bool | None = Field(None, description="recording on or off")
    goal: Name | None = Field(None, description="a goal reached, even if the caller then hangs up")
    call: Name | None = Field(None, description="service to call")
    with_: Annotated[
        dict[Variable, Expression] | None,
        BeforeValidator(
            lambda value: short_forms.expressions(short_forms.same_names(value)),
            json_schema_input_type=Variable
            | list[Variable]
            | dict[Variable, str | int | float | bool]
            | None,
        ),
    ] = Field(None, alias="with", description="arguments of the call: names and expressions")
    assign: Annotated[
        dict[Variable, Text] | None,
        BeforeValidator(
            short_forms.same_names,
            json_schema_input_type=Variable | list[Variable] | dict[Variable, Text] | None,
        ),
    ] = Field(None, description="variables and the keys of the reply they get")
    error: Steps | None = Field(None, description="what is done when the call fails")
    do: Steps | None = Field(None, description="further steps under the same condition")
    goto: Goto | None = None
    transfer: TransferKey | None = Field(None, description="hand the call to a number or SIP URI")
    disconnect: DisconnectKey | None = Field(None, description="end the call with this outcome")

    @property
    def leaves(self) -> bool:
        """Whether the form is left by this step (when its condition holds)."""
        return not (self.goto is None and self.transfer is None and self.disconnect is None)


Steps = Annotated[
    list[Step],
    BeforeValidator(short_forms.steps, json_schema_input_type="Text | Step | list[Text | Step]"),
]


# ---------------------------------------------------------------- fields, menus, forms


class ChoiceKeys(Keys):
    """One value of a choice."""

    phrases: Phrases | None = Field(
        None, description="what callers say for it, beside the value itself"
    )
    dtmf: DtmfKey | None = Field(None, description="key for it")
    say: Text | None = Field(None, description="how the value is spoken; default: the value")


Choices = Annotated[
    dict[Text, ChoiceKeys],
    BeforeValidator(
        short_forms.choices,
        json_schema_input_type=list[Text | int] | dict[Text, Text | list[Text] | ChoiceKeys | None],
    ),
]


class Length(Keys):
    """How many digits or letters."""

    min: int = Field(1, ge=1, le=40, description="at least")
    max: int = Field(40, ge=1, le=40, description="at most")


class FieldKeys(Inherited):
    """A slot to fill, and how it is asked for."""

    type: SlotType | None = Field(None, description="what the slot holds; choice if choices stand")
    choices: Choices | None = Field(None, description="values of a choice")
    list: Name | None = Field(None, description="one of the plan's lists, instead of choices")
    length: Annotated[
        Length | None,
        BeforeValidator(short_forms.length, json_schema_input_type=int | Length | None),
    ] = Field(None, description="how many digits or letters the slot holds")
    optional: bool = Field(False, description="taken when heard, never asked for")
    when: str | None = Field(None, description="condition under which the field is asked for")
    prompt: Prompt | None = Field(None, description="the question")
    reprompt: Prompt | None = Field(None, description="the question, asked again; default: prompt")
    filled: Steps | None = Field(None, description="what is done once the field is filled")


class MenuEntry(Keys):
    """One way out of a menu."""

    goto: Name = Field("", description="form to go on with")
    dtmf: DtmfKey | None = Field(None, description="key for it")
    phrases: Phrases | None = Field(
        None, description="what callers say for it here, beside the form's own phrases"
    )


class Review(Inherited):
    """Reads the filled form back and lets the caller change it."""

    prompt: Prompt | None = Field(None, description="the values, read back as a yes/no question")
    reprompt: Prompt | None = Field(None, description="the same, asked again")
    change: Prompt | None = Field(None, description="asked after 'no': what shall be changed?")


class FormKeys(Inherited):
    """A part of the conversation."""

    intent: Name | None = Field(None, description="name of the form's intent; default: the form's")
    phrases: Phrases | None = Field(None, description="what callers say to get here")
    anywhere: bool = Field(
        False, description="may be asked for within any other form, to which it returns"
    )
    enter: Steps | None = Field(None, description="what is done first")
    prompt: Prompt | None = Field(
        None, description="the menu's question, or an open question before the fields"
    )
    reprompt: Prompt | None = Field(None, description="the same, asked again")
    menu: list[Annotated[MenuEntry, _wrap("goto", MenuEntry)]] | None = Field(
        None, description="forms the caller may choose from"
    )
    fields: dict[Variable, FieldKeys] = Field({}, description="slots to fill, in order")
    review: Annotated[
        Review | None,
        BeforeValidator(
            lambda value: {"prompt": value} if isinstance(value, str) else value,
            json_schema_input_type=Text | Review | None,
        ),
    ] = Field(None, description="question that reads all values back")
    filled: Steps | None = Field(None, description="what is done once all fields are filled")
    next: Name | None = Field(None, description="form that follows at the end of this one")


# ---------------------------------------------------------------- the plan


class Service(Keys):
    """A call-out."""

    python: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="module:function; the module stands beside the plan",
    )
    webhook: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+",
        description="URL that gets the arguments by POST, as JSON",
    )
    timeout: Duration | None = Field(
        None, description="how long it may take; default: the server's setting"
    )


class PlanKeys(Inherited):
    """A dialplan."""

    name: Text = Field("", description="what the plan is called; default: the file's name")
    language: str = Field("en", pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$", description="such as en")
    start: Name | None = Field(None, description="form to begin with; default: the first")
    next: Name | None = Field(
        None, description="form that follows where a form ends without goto, transfer, disconnect"
    )
    welcome: Prompt | None = Field(None, description="spoken once, at the beginning")
    variables: dict[Variable, str | int | float | bool | None] = Field(
        {}, description="variables and what they hold at first"
    )
    lists: dict[Name, Choices] = Field({}, description="choices that several fields share")
    services: dict[Name, Service] = Field({}, description="functions and webhooks to call")
    forms: dict[Name, FormKeys] = Field({}, description="the parts of the conversation")
