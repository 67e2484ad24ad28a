"""Keys of prompts, exits, ladders and universals."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from voicebot.dialogue import short_forms
from voicebot.dialogue.short_forms import (
    LANGUAGE_PATTERN,
    DtmfKey,
    Flag,
    Patience,
    Phrases,
    Text,
    Whole,
)
from voicebot.events import BargeInMode

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]*$"
MAX_LADDER = 10

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class Keys(BaseModel):
    """Base: unknown keys are mistakes; nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_TRANSLATED: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "patternProperties": {LANGUAGE_PATTERN: {"anyOf": [{"type": "string"}, {"type": "array"}]}},
    "additionalProperties": False,
}
Translated = Annotated[dict[str, str | list[Any]], WithJsonSchema(_TRANSLATED)]
"""`{en: Hello., es: Hola.}`, where a text may stand: see `translating`."""
Spoken = Annotated[
    Text,
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1, "maxLength": 2000}, _TRANSLATED]}),
]
"""A text, or one for each language."""


# ---------------------------------------------------------------- short forms


def wrapped(key: str, model: type[BaseModel], short: object = str) -> BeforeValidator:
    """`value` alone for `{key: value}`; `short`: what such a value is in the file."""

    def wrap(value: object) -> object:
        return {key: short_forms.key_text(value)} if isinstance(value, str | int) else value

    return BeforeValidator(wrap, json_schema_input_type=Union[short, model])  # noqa: UP007


# ---------------------------------------------------------------- prompts and exits

BargeIn = Annotated[
    BargeInMode | None,
    BeforeValidator(short_forms.barge_in, json_schema_input_type=BargeInMode | bool | None),
]


class PromptPart(Keys):
    """A part of a prompt, spoken when its condition holds."""

    say: Spoken = Field(description="what is spoken; may hold {{ values }} and [optional parts]")
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
        json_schema_input_type=Text
        | PromptPart
        | Translated
        | list[Text | PromptPart | Translated],
    ),
]


class TransferTo(Keys):
    """Hands the call over."""

    to: Text = Field("", description="E.164 number or SIP URI; may hold {{ values }}")
    summary: Prompt | None = Field(
        None, description="spoken to whoever answers, before the caller is put through"
    )
    queue: Name | None = Field(None, description="queue to wait in, instead of 'to'")
    hold_prompt: Spoken = Field(
        "", description="spoken while waiting; {position} is the caller's place in the queue"
    )
    hold_music: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/]+.*)?$")] = Field(
        "", description="URL of the music heard while waiting; default: the network's"
    )
    outcome: Name = Field("transferred", description="what the journal records")
    goal: Flag = Field(False, description="whether this ending is a success")


class DisconnectAs(Keys):
    """Ends the call."""

    outcome: Name = Field("completed", description="what the journal records")
    goal: Flag = Field(False, description="whether this ending is a success")


Goto = Annotated[Name, Field(description="form to go on with")]
TransferKey = Annotated[TransferTo, wrapped("to", TransferTo)]
DisconnectKey = Annotated[DisconnectAs, wrapped("outcome", DisconnectAs, Name)]


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

    count: Whole | None = Field(
        None, ge=1, le=MAX_LADDER, description="from which time on; default: one after the other"
    )
    reprompt: Flag = Field(True, description="ask the question again after this prompt")


Ladder = Annotated[
    list[LadderEntry],
    BeforeValidator(
        short_forms.ladder,
        json_schema_input_type=Text
        | LadderEntry
        | Translated
        | list[Text | LadderEntry | Translated],
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
    Literal["operator", "help", "repeat", "goodbye", "go_back", "main_menu", "cancel"],
    Annotated[
        Universal | None,
        BeforeValidator(_universal, json_schema_input_type=Universal | bool | None),
    ],
]
