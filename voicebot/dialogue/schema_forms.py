"""Keys of forms: fields, menus, reviews, and questions that a language model answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from voicebot.dialogue import short_forms
from voicebot.dialogue.schema_prompts import (
    Keys,
    Name,
    Prompt,
    Spoken,
    Translated,
    Variable,
    wrapped,
)
from voicebot.dialogue.schema_settings import Inherited
from voicebot.dialogue.schema_steps import Steps, Values
from voicebot.dialogue.short_forms import DtmfKey, Flag, Patience, Phrases, Text, Whole
from voicebot.events import SlotType


class ChoiceKeys(Keys):
    """One value of a choice."""

    phrases: Phrases | None = Field(
        None, description="what callers say for it, beside the value itself"
    )
    dtmf: DtmfKey | None = Field(None, description="key for it")
    say: Spoken | None = Field(None, description="how the value is spoken; default: the value")


Choices = Annotated[
    dict[Text, ChoiceKeys],
    BeforeValidator(
        short_forms.choices,
        json_schema_input_type=list[Text | int | float]
        | dict[Text, Text | list[Text] | ChoiceKeys | Translated | None],
    ),
]


class Length(Keys):
    """How many digits or letters."""

    min: Whole = Field(1, ge=1, le=40, description="at least")
    max: Whole = Field(40, ge=1, le=40, description="at most")


class FieldKeys(Inherited):
    """A slot to fill, and how it is asked for."""

    type: SlotType | None = Field(None, description="what the slot holds; choice if choices stand")
    choices: Choices | None = Field(None, description="values of a choice")
    list: Name | None = Field(None, description="one of the plan's lists, instead of choices")
    length: Annotated[
        Length | None,
        BeforeValidator(short_forms.length, json_schema_input_type=int | Length | None),
    ] = Field(None, description="how many digits or letters the slot holds")
    check: Literal["luhn"] | None = Field(
        None, description="what digits must satisfy; luhn: the check digit of a card's number"
    )
    phrases: Phrases | None = Field(
        None, description="what callers call it at a review, beside its name: the starting account"
    )
    optional: Flag = Field(False, description="taken when heard, never asked for")
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
    with_: Values = Field(
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
    turns: Whole = Field(6, ge=1, le=30, description="answers of the caller at most; default 6")
    steps: Whole = Field(4, ge=1, le=10, description="replies of the model to each; default 4")
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
    anywhere: Flag = Field(
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
    menu: list[Annotated[MenuEntry, wrapped("goto", MenuEntry, Name)]] | None = Field(
        None, description="forms the caller may choose from"
    )
    fields: dict[Variable, FieldKeys] = Field({}, description="slots to fill, in order")
    llm: Llm | None = Field(None, description="a language model that answers what callers say")
    review: Annotated[
        Review | None,
        BeforeValidator(
            lambda value: {"prompt": value} if isinstance(value, str) else value,
            json_schema_input_type=Text | Review | Translated | None,
        ),
    ] = Field(None, description="question that reads all values back")
    filled: Steps | None = Field(None, description="what is done once all fields are filled")
    next: Name | None = Field(None, description="form that follows at the end of this one")
