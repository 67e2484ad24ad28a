"""The short forms that a plan may use, turned into the long ones before validation.

Each takes what stands in the file and gives what the schema describes; what it does not know it
leaves as it is, for pydantic to refuse.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

LONGEST_MS = 600_000
"""No caller is waited for longer than ten minutes; who writes so means milliseconds."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def duration(value: object) -> object:
    """`2s` or `500ms` as milliseconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is written like 2s or 500ms")
    number = float(match[1])
    return round(number if match[2] == "ms" else number * 1000)


def silence(value: object) -> object:
    """A duration that may be nothing, but not an hour."""
    return _within(duration(value), 0)


def patience(value: object) -> object:
    """A duration in which a caller can do something."""
    return _within(duration(value), 100)


def _within(ms: object, lowest_ms: int) -> object:
    if isinstance(ms, int) and not lowest_ms <= ms <= LONGEST_MS:
        raise ValueError(f"between {lowest_ms}ms and {LONGEST_MS // 60_000} minutes")
    return ms


def key_text(value: object) -> object:
    """A number as text: keys and the like."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def terminator(value: object) -> object:
    """`false` as no key at all."""
    return "" if value is False else key_text(value)


def say_parts(value: object) -> object:
    """A text, a part or a list of both as prompt parts."""
    if isinstance(value, str | dict):
        value = [value]
    if isinstance(value, list):
        return [{"say": part} if isinstance(part, str) else part for part in value]
    return value


def ladder(value: object) -> object:
    """A text or one rung as a ladder."""
    if not isinstance(value, list):
        value = [value]
    return [{"prompt": entry} if isinstance(entry, str) else entry for entry in value]


def steps(value: object) -> object:
    """A text or one step as steps."""
    if not isinstance(value, list):
        value = [value]
    return [{"say": step} if isinstance(step, str) else step for step in value]


def listed(value: object) -> object:
    """A text as a list of one."""
    return [value] if isinstance(value, str) else value


def same_names(value: object) -> object:
    """Names as a mapping of each to itself."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return {item: item for item in value}
    return value


def expressions(value: object) -> object:
    """Numbers and booleans as the text of an expression."""
    if isinstance(value, dict):
        return {
            key: str(item).lower() if isinstance(item, bool) else number_text(item)
            for key, item in value.items()
        }
    return value


def number_text(value: object) -> object:
    """A number as text."""
    return str(value) if isinstance(value, int | float) else value


def choices(value: object) -> object:
    """A list or short mapping as choices."""
    if isinstance(value, list):
        value = {str(item): None for item in value}
    if isinstance(value, dict):
        return {key: _choice(item) for key, item in value.items()}
    return value


def _choice(value: object) -> object:
    if value is None:
        return {}
    return {"phrases": listed(value)} if isinstance(value, str | list) else value


def length(value: object) -> object:
    """A number as an exact length."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"min": value, "max": value}
    return value


def barge_in(value: object) -> object:
    """A boolean as a mode, as VoiceXML's `bargein`."""
    return {True: "speech", False: "none"}[value] if isinstance(value, bool) else value


def confirm(value: object) -> object:
    """A word or boolean as confirmation keys."""
    if isinstance(value, bool):
        value = "always" if value else "never"
    return {"mode": value} if isinstance(value, str) else value


_Written = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?(ms|s)$")]
Duration = Annotated[int, BeforeValidator(duration, json_schema_input_type=_Written)]
"""Milliseconds; written `2s` or `500ms`."""
Silence = Annotated[int, BeforeValidator(silence, json_schema_input_type=_Written)]
Patience = Annotated[int, BeforeValidator(patience, json_schema_input_type=_Written)]
DtmfKey = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9*#A-D]{1,4}$"),
    BeforeValidator(key_text, json_schema_input_type=str | int),
]
Expression = Annotated[
    str, BeforeValidator(number_text, json_schema_input_type=str | int | float | bool)
]
Phrases = Annotated[list[Text], BeforeValidator(listed, json_schema_input_type=Text | list[Text])]
