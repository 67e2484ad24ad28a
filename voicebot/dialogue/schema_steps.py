"""Keys of steps: what is done on entering a form, when a field or a form is filled, on errors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from voicebot.dialogue import short_forms
from voicebot.dialogue.schema_prompts import (
    DisconnectKey,
    Goto,
    Keys,
    Name,
    Prompt,
    TransferKey,
    Translated,
    Variable,
)
from voicebot.dialogue.short_forms import Expression, Flag, Patience, Silence, Text


class Voicemail(Keys):
    """How a message is recorded."""

    max: Patience = Field(120_000, description="longest message; default 120s")
    min: Silence = Field(1000, description="shorter ones run 'error'; default 1s")
    silence: Patience = Field(4000, description="silence that ends it; default 4s")
    terminator: Annotated[
        str,
        BeforeValidator(
            short_forms.terminator, json_schema_input_type=short_forms.WrittenTerminator
        ),
    ] = Field("#", pattern=r"^[0-9*#A-D]?$", description="key that ends it; default #; false: none")
    tone: Flag = Field(True, description="whether a beep says when to speak")


Values = Annotated[
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
    record: Flag | None = Field(None, description="recording on or off")
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
    with_: Values = Field(
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
    BeforeValidator(
        short_forms.steps,
        json_schema_input_type=Text | Step | Translated | list[Text | Step | Translated],
    ),
]
Step.model_rebuild()  # it mentions Steps, which come after it
