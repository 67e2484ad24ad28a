"""One plan file in several languages: `{en: Hello., es: Hola.}` wherever a text may stand."""

from __future__ import annotations

import re

from voicebot.dialogue.source import Key, Source

DEFAULT = "en"
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")
_NAMES = frozenset({"choices", "variables", "set", "with", "assign", "return", "headers"})
"""Mappings of names that stand for no texts of languages."""


def localised(source: Source, language: str | None = None) -> object:
    """The file's data with the texts of one language (default: the plan's own).

    A text that has no entry in that language is reported, and is the plan's own instead.
    """
    data = source.data
    if not isinstance(data, dict) or not isinstance(data.get("languages"), dict):
        return data
    own = str(data.get("language", DEFAULT))
    languages = {own, *map(str, data["languages"])}
    chosen = language or own
    found = _localise(source, (), data, languages, own, chosen)
    assert isinstance(found, dict)
    return {**found, "language": chosen, "languages": data["languages"]}


def _localise(
    source: Source, key: Key, value: object, languages: set[str], own: str, chosen: str
) -> object:
    if isinstance(value, list):
        return [
            _localise(source, (*key, index), item, languages, own, chosen)
            for index, item in enumerate(value)
        ]
    if not isinstance(value, dict):
        return value
    is_text = all(map(_is_text, value.values())) and all(map(LANGUAGE.fullmatch, value))
    if own in value and is_text and not _holds_names(key):
        for unknown in sorted(set(value) - languages):
            source.report(key, f"unknown language '{unknown}'; declare it under 'languages:'")
        if chosen not in value:
            source.report(
                key, f"no text for '{chosen}' here; callers hear '{own}'", is_warning=True
            )
        return value.get(chosen, value[own])
    return {
        name: item
        if key == () and name == "languages"
        else _localise(source, (*key, name), item, languages, own, chosen)
        for name, item in value.items()
    }


def _holds_names(key: Key) -> bool:
    """Whether a mapping's keys are the author's own: "en" is a choice then, or a variable."""
    return (key and key[-1] in _NAMES) or (len(key) == 2 and key[0] == "lists")


def _is_text(value: object) -> bool:
    return isinstance(value, str | list)
