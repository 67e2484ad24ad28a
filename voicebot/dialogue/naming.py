"""Fields by their names: what callers say at a review to change one, without the new value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from voicebot import patterns
from voicebot.dialogue import inherit, texts
from voicebot.dialogue.leaving import words_of
from voicebot.dialogue.schema import FieldKeys, PlanKeys, PromptPart
from voicebot.events import IntentSpec

CHANGE = "change "
"""Begins the intents by which callers name fields that they want to change."""
_SMALL = frozenset(
    re.findall(
        r"\S+",
        "a an and at by for from in is it my new no not of on or other some that the this to what "
        "when which with yes a al con de del el en es la las lo los mi no o para por que si un una "
        "y",
    )
)
"""Words of names that callers say all the time without naming anything."""

_BETWEEN = frozenset(
    re.findall(r"\S+", "and but except however though excepto menos pero salvo sino y")
)
"""Words between parts of a sentence that say different things of different fields."""
_RIGHT = frozenset(
    re.findall(
        r"\S+", "correct fine good right bien correcta correctas correcto correctos perfecto"
    )
)
_WRONG = frozenset(
    re.findall(
        r"\S+",
        "another aren't change different incorrect instead isn't no not should wrong "
        "cambia cambiar cambie distinta distinto mal otra otro",
    )
)
_CONTRAST = (_BETWEEN | _WRONG) - {"and", "y", "no"}


def has_contrast(text: str) -> bool:
    """Whether a "yes" is not all that was said: "yes, but ..."."""
    return not _CONTRAST.isdisjoint(words_of(text))


def complained_of(keys: PlanKeys, form: str, text: str) -> tuple[str, ...] | None:
    """The fields that are named in the parts of a sentence which do not call them right; None
    where no part does, and the sentence is to be taken as a whole."""
    words = words_of(text)
    while words[:1] == ("no",):
        words = words[1:]
    parts: list[list[str]] = [[]]
    for word in words:
        if word in _BETWEEN:
            parts.append([])
        else:
            parts[-1].append(word)
    wrong = [part for part in parts if _RIGHT.isdisjoint(part) or not _WRONG.isdisjoint(part)]
    if len(wrong) == len(parts):
        return None
    found = [name for part in wrong for name in _named_in(keys, form, tuple(part))]
    return tuple(dict.fromkeys(found))


def _named_in(keys: PlanKeys, form: str, words: patterns.Words) -> Iterator[str]:
    """Fields whose phrases were said, the longer ones first: "second account" is not "account"."""
    left = list(words)
    phrases = [
        (expanded, intent.name)
        for intent in intents(keys, form)
        for phrase in intent.phrases
        for expanded in patterns.expand_leniently(phrase, words_of)
    ]
    for phrase, name in sorted(phrases, key=lambda one: -len(one[0])):
        size = len(phrase)
        for at in range(len(left) - size + 1):
            if tuple(left[at : at + size]) == phrase:
                left[at : at + size] = [""] * size
                yield from fields_of(name)


@inherit.remembered_by_form
def intents(keys: PlanKeys, form: str) -> tuple[IntentSpec, ...]:
    """One intent for each field of a form, or for several that have a phrase in common."""
    owners: dict[str, list[str]] = {}
    for name, phrases in _phrases(keys, form).items():
        for phrase in phrases:
            owners.setdefault(phrase, []).append(name)
    meant: dict[tuple[str, ...], list[str]] = {}
    for phrase, names in owners.items():
        meant.setdefault(tuple(names), []).append(phrase)
    return tuple(
        IntentSpec(CHANGE + " ".join(names), tuple(phrases)) for names, phrases in meant.items()
    )


def fields_of(intent: str | None) -> tuple[str, ...]:
    """The fields that an intent of these names."""
    if intent is None or not intent.startswith(CHANGE):
        return ()
    return tuple(intent.removeprefix(CHANGE).split())


def question(keys: PlanKeys, name: str, field: FieldKeys) -> list[PromptPart]:
    """How a field is asked for: as it says, or by its name where it never is of its own accord."""
    named = " ".join(_words(name))
    return field.prompt or [PromptPart(say=texts.of(keys.language).which.format(name=named))]


def _words(name: str) -> list[str]:
    """Words of a name: "numberOfShots" and "number_of_shots" give number, of, shots."""
    return [
        word.lower() for word in re.findall(r"[^\W\d_A-Z][^\W\d_A-Z]*|[A-Z]+[^\W\d_A-Z]*", name)
    ]


def _phrases(keys: PlanKeys, form: str) -> dict[str, list[str]]:
    """Each field's own phrases, its name, and words that tell it from the other fields."""
    fields = keys.forms[form].fields
    names = {name: _words(name) for name in fields}
    shared = Counter(word for words in names.values() for word in set(words))
    types = Counter(inherit.slot_type(field) for field in fields.values())
    values = set(_values(keys, form))
    found: dict[str, list[str]] = {}
    for name, field in fields.items():
        words = names[name]
        telling = [word for word in words if word not in _SMALL]
        own = [" ".join(words)] if telling else []
        own += [word for word in telling if shared[word] == 1]
        if types[inherit.slot_type(field)] == 1:
            own += texts.of(keys.language).nouns.get(inherit.slot_type(field), ())
        own = [phrase for phrase in own if phrase not in values]
        found[name] = list(dict.fromkeys([*(field.phrases or ()), *own]))
    return found


def _values(keys: PlanKeys, form: str) -> Iterator[str]:
    """What callers say for the values of choices: "coffee" is an answer, no name."""
    for field in keys.forms[form].fields.values():
        for value, choice in inherit.choices(keys, field).items():
            yield value.replace("_", " ").lower()
            for phrase in choice.phrases or ():
                yield from map(" ".join, patterns.expand_leniently(phrase, _split))


def _split(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[\w']+", text.lower()))
