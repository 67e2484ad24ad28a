"""Checks of keys and types: what pydantic finds, told in an author's words."""

from __future__ import annotations

import copy
import difflib
import re
import types
from typing import Annotated, Any, Union, get_args, get_origin
from zoneinfo import available_timezones

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from voicebot.dialogue.checks import Checker, did_you_mean, locate
from voicebot.dialogue.schema import Keys, PlanKeys
from voicebot.dialogue.source import Key
from voicebot.dialogue.translating import DEFAULT, LANGUAGE
from voicebot.events import SlotType

MAX_ROUNDS = 20


def validate(checker: Checker) -> PlanKeys | None:
    """A plan's keys, less the mistakes, which are reported; None when nothing is left."""
    data: Any = copy.deepcopy(checker.data)
    for _ in range(MAX_ROUNDS):
        try:
            return PlanKeys.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
        told = set(checker.broken)  # what was put there instead is no mistake of the author's
        for detail in _telling(details):
            if locate(checker.data, _plain_loc(detail)) not in told:
                _report_detail(checker, detail)
        # All places first: with one thing gone, the next one would be looked for further out.
        for key in dict.fromkeys(locate(data, _plain_loc(detail)) for detail in details):
            if not _remove(data, key):
                return None
    return None


def _telling(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """One detail of each place: where alternatives failed, the one that names its options."""
    found: dict[tuple[Key, bool], ErrorDetails] = {}
    for detail in details:
        is_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
        at = (_plain_loc(detail), is_key)
        if at not in found or detail["type"] == "enum":
            found[at] = detail
    return list(found.values())


_ALTERNATIVE = re.compile(r"(list|dict|str-enum)\[.+\]")
"""What pydantic calls the alternatives of a value: no part of the file."""


def _plain_loc(detail: ErrorDetails) -> Key:
    return tuple(
        part
        for part in detail["loc"]
        if part != "[key]" and not (isinstance(part, str) and _ALTERNATIVE.fullmatch(part))
    )


def _remove(data: Any, key: Key) -> bool:
    """Drop what stands at `key`; True also when a reported outer part took it along."""
    if not key:
        return False
    try:
        for part in key[:-1]:
            data = data[part]
    except (KeyError, TypeError):
        return True
    if isinstance(data, dict):
        data.pop(key[-1], None)
    elif isinstance(data, list) and isinstance(key[-1], int) and key[-1] < len(data):
        data[key[-1]] = {} if data[key[-1]] != {} else "x"
    return True


def _report_detail(checker: Checker, detail: ErrorDetails) -> None:
    loc = _plain_loc(detail)
    at = locate(checker.data, loc)
    checker.broken.add(at)
    kind = detail["type"]
    name = next((part for part in reversed(loc) if isinstance(part, str)), "")
    if spoken := _languages_at(checker, at, kind):
        declared = ", ".join(f"{language}: {{}}" for language in spoken)
        checker.report(
            at[:-1] if kind == "extra_forbidden" else at,
            f"a text for each language; declare them in the plan, languages: {{{declared}}}",
        )
    elif len(loc) > 1 and loc[-2] == "universals" and kind == "model_type":
        hint = f"; the answer itself is 'help: {detail['input']}'" if name == "help" else ""
        such = "transfer: ..." if name == "operator" else "prompt: ..."
        checker.report(loc, f"'{name}' takes keys here, such as {{{such}}}{hint}")
    elif kind == "extra_forbidden":
        options = key_names(loc[:-1])
        near = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
        checker.broken |= {(*at[:-1], option) for option in near}
        hint = did_you_mean(name, options) or f"; keys here are {', '.join(options)}"
        hint = _BROUGHT.get(name.lower(), hint)
        checker.report(loc, f"unknown key '{name}'{hint}")
    elif detail["loc"] and detail["loc"][-1] == "[key]":
        checker.report(loc, _key_message(name, detail))
    elif len(loc) == 2 and loc[0] == "forms" and name in key_names(loc):
        checker.report(loc, f"'{name}' is a key of forms; indent it further, below its form")
    else:
        checker.report(loc, _value_message(name, detail))


def _languages_at(checker: Checker, at: Key, kind: str) -> list[str]:
    """The languages of `{en: ..., es: ...}`, where a plan without languages has such a text."""
    data = checker.data
    if not isinstance(data, dict) or "languages" in data or not at:
        return []
    value: Any = data
    for part in at[:-1] if kind == "extra_forbidden" else at:
        value = value[part]
    if not isinstance(value, dict) or str(data.get("language", DEFAULT)) not in value:
        return []
    names = [str(name) for name in value]
    return names if all(map(LANGUAGE.fullmatch, names)) else []


def _key_message(name: str, detail: ErrorDetails) -> str:
    options = _expected(detail)
    if options:
        return f"unknown name '{name}'{did_you_mean(name, options) or _one_of(options)}"
    return f"'{name}' is not a name; use letters, digits and _, beginning with a letter"


def _value_message(name: str, detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    options = _expected(detail)
    if options and not isinstance(value, dict | list):
        near = did_you_mean(str(value), options)
        is_named = name == "type" or set(options) != {kind.value for kind in SlotType}
        what = f"unknown {name}" if is_named else f"'{name}': unknown type"
        return f"{what} '{value}'{near or _one_of(options)}"
    if kind == "string_pattern_mismatch":
        return f"'{name}': {value!r} {_PATTERNS.get(name, 'is not a name')}"
    if kind in _WANTED:
        wanted = "text, or a list of texts" if name in _TEXTS else _WANTED[kind]
        return f"'{name}' must be {wanted}, not {_describe(value)}"
    if kind == "missing":
        return f"'{name}' is missing"
    message = detail["msg"].removeprefix("Value error, ")
    message = re.sub(r"^(Input|String|List|Value) should ", "must ", message)
    text = f"'{name}': {message[:1].lower()}{message[1:]}"
    # The message quotes what is wrong in it.
    if isinstance(value, dict) or (kind == "value_error" and isinstance(value, list)):
        return text
    near = did_you_mean(str(value), available_timezones()) if name == "timezone" else ""
    return f"{text}, not {_describe(value)}{near}"


_BROUGHT = {
    "if": "; a step's condition is 'when'",
    "else": "; write a step of its own, with the opposite as its 'when'",
    "elif": "; write a step of its own, with its own 'when'",
    "hangup": "; a call is ended by 'disconnect: OUTCOME'",
    "hang_up": "; a call is ended by 'disconnect: OUTCOME'",
    "end": "; a call is ended by 'disconnect: OUTCOME'",
    "text": "; what is spoken is 'say'",
    "speak": "; what is spoken is 'say'",
    "completetimeout": "; VoiceXML's completetimeout is 'timeouts: {complete: ...}'",
    "incompletetimeout": "; VoiceXML's incompletetimeout is 'timeouts: {incomplete: ...}'",
    "maxspeechtimeout": "; VoiceXML's maxspeechtimeout is 'timeouts: {max_speech: ...}'",
    "noinputtimeout": "; the silence before noinput is 'timeouts: {noinput: ...}'",
    "interdigittimeout": "; VoiceXML's interdigittimeout is 'dtmf: {interdigit: ...}'",
    "termtimeout": "; VoiceXML's termtimeout is 'dtmf: {term: ...}'",
    "termchar": "; VoiceXML's termchar is 'dtmf: {terminator: ...}'",
    "bargein": "; VoiceXML's bargein is 'barge_in'",
    "bargeintype": "; VoiceXML's bargeintype is 'barge_in: speech' or 'barge_in: hotword'",
}
"""Words that authors bring along, of VoiceXML and of others."""
_WANTED = {
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_TEXTS = frozenset(
    {"welcome", "prompt", "reprompt", "say", "help", "resume", "change", "correction", "filler"}
    | {"keys_only"}
    | {"noinput", "nomatch", "phrases", "examples", "hints"}
)
_PATTERNS = {
    "python": "is not 'module:function'",
    "webhook": "is not a URL; it begins with https://",
    "dtmf": "is not a key; keys are 0-9, *, # and A-D",
    "terminator": "is not a key; keys are 0-9, *, # and A-D",
    "language": "is not a language; write en or en-US",
}


def _expected(detail: ErrorDetails) -> list[str]:
    if detail["type"] not in {"enum", "literal_error"}:
        return []
    return re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))


def _one_of(options: list[str]) -> str:
    return f"; one of {', '.join(options)}"


def _describe(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def key_names(loc: Key) -> list[str]:
    """The keys that the schema knows at a place, for suggestions."""
    found: Any = PlanKeys
    for part in loc:
        model = _model(found)
        if model is not None:
            by_alias = {info.alias or name: info for name, info in model.model_fields.items()}
            if part not in by_alias:
                return []
            found = by_alias[str(part)].annotation
        else:
            found = _item(found)
    model = _model(found)
    if model is None:
        return []
    return [info.alias or name for name, info in model.model_fields.items()]


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return [inner for part in get_args(annotation) for inner in _alternatives(part)]
    return [annotation]


def _model(annotation: Any) -> type[Keys] | None:
    for part in _alternatives(annotation):
        if isinstance(part, type) and issubclass(part, Keys):
            return part
    return None


def _item(annotation: Any) -> Any:
    for part in _alternatives(annotation):
        if get_origin(part) in {list, dict}:
            return get_args(part)[-1]
    return None
