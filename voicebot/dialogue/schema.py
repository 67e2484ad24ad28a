"""The keys of a plan, as pydantic models; descriptions go to the published JSON Schema.

Short forms (`prompt: text`, `goto: name`, `disconnect: outcome`, ...) are turned into the long
form before validation, so that the rest of the room sees one shape only. All keys have
defaults: what is missing is found by `checks`, which knows when it matters.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    WithJsonSchema,
)

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
LANGUAGE_PATTERN = r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$"
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

_TEXT = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 2000},
        {"type": "object", "additionalProperties": {"type": "string"}},
    ]
}
"""A text, or one for each language."""


BargeIn = Annotated[
    BargeInMode | None,
    BeforeValidator(short_forms.barge_in, json_schema_input_type=BargeInMode | bool | None),
]


Translated = dict[Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN)], str | list[str]]
"""`{en: Hello., es: Hola.}`, where a text may stand: see `translating`."""


class PromptPart(Keys):
    """A part of a prompt, spoken when its condition holds."""

    say: Annotated[Text, WithJsonSchema(_TEXT)] = Field(
        description="what is spoken; may hold {{ values }} and [optional parts]"
    )
    when: str | None = Field(None, description="condition under which this part is spoken")
    barge_in: BargeIn = Field(
        None, description="what may interrupt this part; default: what may interrupt here"
    )
    noinput: Patience | None = Field(
        None, description="silence after this part, if it is the last; default: the timeouts here"
    )


Prompt = Annotated[
    list[PromptPart],
    BeforeValidator(
        short_forms.say_parts,
        json_schema_input_type=Text | PromptPart | list[Text | PromptPart] | Translated,
    ),
]


class TransferTo(Keys):
    """Hands the call over."""

    to: Text = Field("", description="E.164 number or SIP URI; may hold {{ values }}")
    summary: Prompt | None = Field(
        None, description="spoken to whoever answers, before the caller is put through"
    )
    queue: Name | None = Field(None, description="queue to wait in, instead of 'to'")
    hold_prompt: Text = Field(
        "", description="spoken while waiting; {position} is the caller's place in the queue"
    )
    hold_music: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/]+.*)?$")] = Field(
        "", description="URL of the music heard while waiting; default: the network's"
    )
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
    examples: Phrases | None = Field(None, description="sentences like those callers say for it")
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
    offers: int | None = Field(
        None, ge=1, le=5, description="readings asked about before the question again; default 2"
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


class Voicemail(Keys):
    """How a message is recorded."""

    max: Patience = Field(120_000, description="longest message; default 120s")
    min: Silence = Field(1000, description="shorter ones run 'error'; default 1s")
    silence: Patience = Field(4000, description="silence that ends it; default 4s")
    terminator: Annotated[
        str,
        BeforeValidator(short_forms.terminator, json_schema_input_type=str | int | Literal[False]),
    ] = Field("#", pattern=r"^[0-9*#A-D]?$", description="key that ends it; default #; false: none")
    tone: bool = Field(True, description="whether a beep says when to speak")


_Values = Annotated[
    dict[Variable, Expression] | None,
    BeforeValidator(
        lambda value: short_forms.expressions(short_forms.same_names(value)),
        json_schema_input_type=Variable
        | list[Variable]
        | dict[Variable, str | int | float | bool]
        | None,
    ),
]


class Step(Keys):
    """What is done, in the order of its keys: say first, the exit last."""

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
    language: str | None = Field(None, description="language to go on in")
    record: bool | None = Field(None, description="recording on or off")
    goal: Name | None = Field(None, description="a goal reached, even if the caller then hangs up")
    call: Name | None = Field(None, description="service to call")
    task: Name | None = Field(None, description="task to note for people, with the values 'with'")
    form: Name | None = Field(None, description="form to go through, and come back")
    voicemail: Annotated[
        Voicemail | None,
        BeforeValidator(
            lambda value: {} if value is True else None if value is False else value,
            json_schema_input_type=Voicemail | bool | None,
        ),
    ] = Field(None, description="record a message of the caller's")
    with_: _Values = Field(
        None, alias="with", description="arguments of call, form or task: names and expressions"
    )
    assign: Annotated[
        dict[Variable, Text] | None,
        BeforeValidator(
            short_forms.same_names,
            json_schema_input_type=Variable | list[Variable] | dict[Variable, Text] | None,
        ),
    ] = Field(None, description="variables, and the keys of the answer that they get")
    error: Steps | None = Field(None, description="what is done when call or voicemail fails")
    do: Steps | None = Field(None, description="further steps under the same condition")
    return_: Annotated[
        dict[Variable, Expression] | None,
        BeforeValidator(
            lambda value: (
                {} if value is True else short_forms.expressions(short_forms.same_names(value))
            ),
            json_schema_input_type=Literal[True]
            | Variable
            | list[Variable]
            | dict[Variable, str | int | float | bool]
            | None,
        ),
    ] = Field(None, alias="return", description="end this form, with these values for its caller")
    goto: Goto | None = None
    transfer: TransferKey | None = Field(None, description="hand the call to a number or SIP URI")
    disconnect: DisconnectKey | None = Field(None, description="end the call with this outcome")

    @property
    def leaves(self) -> bool:
        """Whether the form is left by this step (when its condition holds)."""
        exits = (self.return_, self.goto, self.transfer, self.disconnect)
        return any(way is not None for way in exits)


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
    examples: Phrases | None = Field(
        None, description="sentences like those callers say for it, beside the form's own"
    )


class Review(Inherited):
    """Reads the filled form back and lets the caller change it."""

    prompt: Prompt | None = Field(None, description="the values, read back as a yes/no question")
    reprompt: Prompt | None = Field(None, description="the same, asked again")
    correction: Prompt | None = Field(
        None, description="asked after one correction, instead of all; {{ value }} is the new one"
    )
    change: Prompt | None = Field(None, description="asked after 'no': what shall be changed?")


class LlmTool(Keys):
    """A service that a language model may call."""

    when: str | None = Field(None, description="condition under which it may")
    with_: _Values = Field(
        None, alias="with", description="arguments that the plan gives and the model cannot change"
    )


class Llm(Keys):
    """An open question answered by a language model, within the bounds set here."""

    instructions: Annotated[str, StringConstraints(max_length=4000)] = Field(
        "", description="what the model is for, and what it should know"
    )
    tools: Annotated[
        dict[Name, LlmTool],
        BeforeValidator(
            short_forms.tools, json_schema_input_type=list[Name] | dict[Name, LlmTool | None]
        ),
    ] = Field({}, description="services that it may call; no others")
    slots: Annotated[
        list[Variable],
        BeforeValidator(short_forms.listed, json_schema_input_type=Variable | list[Variable]),
    ] = Field([], description="fields that it may fill; no others")
    goto: Annotated[
        list[Name], BeforeValidator(short_forms.listed, json_schema_input_type=Name | list[Name])
    ] = Field([], description="forms that it may go on with; no others")
    turns: int = Field(6, ge=1, le=30, description="answers of the caller at most; default 6")
    steps: int = Field(4, ge=1, le=10, description="replies of the model to each; default 4")
    timeout: Patience = Field(8000, description="how long a reply may take; default 8s")
    else_: Steps | None = Field(
        None, alias="else", description="what is done without a model, or when it fails"
    )


class FormKeys(Inherited):
    """A part of the conversation."""

    intent: Name | None = Field(None, description="name of the form's intent; default: the form's")
    phrases: Phrases | None = Field(None, description="what callers say to get here")
    examples: Phrases | None = Field(
        None, description="sentences like those callers say to get here, to learn from"
    )
    anywhere: bool = Field(
        False, description="may be asked for within any other form, to which it returns"
    )
    resume: Prompt | None = Field(
        None, description="spoken when a digression comes back here, before the question"
    )
    variables: dict[Variable, str | int | float | bool | None] = Field(
        {}, description="variables that begin afresh with the form, and what they hold then"
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
    llm: Llm | None = Field(None, description="a language model that answers what callers say")
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
    retries: int | None = Field(
        None, ge=0, le=5, description="further attempts of a webhook; default 1"
    )
    backoff: Silence | None = Field(
        None, description="pause before the second attempt, doubled each time; default 200ms"
    )
    filler: Prompt | None = Field(None, description="spoken where the answer takes its time")
    filler_after: Silence | None = Field(
        None, description="how long the answer may take before; default 1500ms"
    )
    arguments: dict[Variable, SlotType] | None = Field(
        None, description="names and types of the arguments; a language model's are held to them"
    )
    reply: Annotated[
        dict[Variable, SlotType | list[Text]] | None,
        BeforeValidator(
            short_forms.reply,
            json_schema_input_type=dict[Variable, SlotType | Literal["any"] | list[Text]] | None,
        ),
    ] = Field(None, description="names and types (or values) of the reply; another one is an error")


class Hours(Keys):
    """When somebody is there."""

    weekly: Annotated[
        dict[str, list[tuple[int, int]]],
        BeforeValidator(
            short_forms.weekly, json_schema_input_type=dict[str, Text | list[Text] | None]
        ),
    ] = Field({}, description="days and their hours")
    holidays: Annotated[
        dict[str, list[tuple[int, int]]],
        BeforeValidator(
            short_forms.holidays,
            json_schema_input_type=list[Text] | dict[str, Text | list[Text] | None],
        ),
    ] = Field({}, description="dates, closed or with hours of their own")
    closed: Name | None = Field(None, description="form to begin with when closed")


Language = Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN)]


class LanguageKeys(Keys):
    """How callers ask for a language."""

    phrases: Phrases | None = Field(None, description="what callers say for it, in it")
    dtmf: DtmfKey | None = Field(None, description="key for it")


class PlanKeys(Inherited):
    """A dialplan."""

    _memory: dict[Any, Any] = PrivateAttr(default_factory=dict)

    @property
    def memory(self) -> dict[Any, Any]:
        """What `inherit.remembered` keeps of this plan."""
        return self._memory

    name: Text = Field("", description="what the plan is called; default: the file's name")
    language: str = Field("en", pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$", description="such as en")
    languages: dict[Language, LanguageKeys] = Field(
        {}, description="all languages of the plan, and how callers ask for them"
    )
    timezone: Annotated[str, BeforeValidator(short_forms.timezone)] | None = Field(
        None, description="time zone of 'now' and 'hours', such as America/New_York"
    )
    hours: Hours | None = Field(None, description="opening hours")
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
