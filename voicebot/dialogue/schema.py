"""The keys of a plan, as pydantic models; descriptions go to the published JSON Schema.

Short forms (`prompt: text`, `goto: name`, `disconnect: outcome`, ...) are turned into the long
form before validation, so that the rest of the room sees one shape only. All keys have
defaults: what is missing is found by `checks`, which knows when it matters.

Prompts and exits are in `schema_prompts`, inherited settings in `schema_settings`, steps in
`schema_steps`, forms in `schema_forms`; this module is the door to all of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, StringConstraints

from voicebot.dialogue import short_forms
from voicebot.dialogue.schema_forms import (
    ChoiceKeys,
    Choices,
    FieldKeys,
    FormKeys,
    Length,
    Llm,
    LlmTool,
    MenuEntry,
    Review,
)
from voicebot.dialogue.schema_prompts import (
    DisconnectAs,
    Exit,
    Keys,
    Ladder,
    LadderEntry,
    Name,
    Prompt,
    PromptPart,
    TransferTo,
    Universal,
    Universals,
    Variable,
)
from voicebot.dialogue.schema_settings import Confirm, Dtmf, Inherited, TimeoutKeys
from voicebot.dialogue.schema_steps import Step, Steps, Voicemail
from voicebot.dialogue.short_forms import (
    LANGUAGE_PATTERN,
    DtmfKey,
    Patience,
    Phrases,
    Silence,
    Text,
    Whole,
)
from voicebot.events import SlotType

__all__ = [
    "ChoiceKeys",
    "Choices",
    "Confirm",
    "DisconnectAs",
    "Dtmf",
    "Exit",
    "FieldKeys",
    "FormKeys",
    "Hours",
    "Inherited",
    "Keys",
    "Ladder",
    "LadderEntry",
    "LanguageKeys",
    "Length",
    "Llm",
    "LlmTool",
    "MenuEntry",
    "PlanKeys",
    "Prompt",
    "PromptPart",
    "Review",
    "Service",
    "Step",
    "Steps",
    "TimeoutKeys",
    "TransferTo",
    "Universal",
    "Universals",
    "Voicemail",
]


Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=100)]
HeaderText = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=1000)]


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
    headers: dict[Header, HeaderText] | None = Field(
        None, description="headers of a webhook's requests; env:NAME stands for a secret"
    )
    timeout: Patience | None = Field(
        None, description="how long it may take; default: the server's setting"
    )
    retries: Whole | None = Field(
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
            json_schema_input_type=dict[Variable, SlotType | Literal["any"] | list[Text | int]]
            | None,
        ),
    ] = Field(None, description="names and types (or values) of the reply; another one is an error")


class Hours(Keys):
    """When somebody is there."""

    weekly: Annotated[
        dict[str, list[tuple[int, int]]],
        BeforeValidator(
            short_forms.weekly,
            json_schema_input_type=dict[short_forms.WrittenDays, short_forms.WrittenHours],
        ),
    ] = Field({}, description="days and their hours")
    holidays: Annotated[
        dict[str, list[tuple[int, int]]],
        BeforeValidator(
            short_forms.holidays,
            json_schema_input_type=list[short_forms.WrittenHoliday]
            | dict[short_forms.WrittenHoliday, short_forms.WrittenHours],
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
    currency: Literal["USD", "EUR", "GBP"] = Field(
        "USD", description="how amounts are spoken; default USD"
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
