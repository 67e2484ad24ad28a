"""Checks of what callers' words may mean: the same ones for two things at one place.

Warnings all of them: a call goes on, but one of the two can hardly be reached by voice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from voicebot import patterns
from voicebot.dialogue import inherit, texts
from voicebot.dialogue.checks import Checker, locate
from voicebot.dialogue.meaning import has_operator, levels
from voicebot.dialogue.phrasing import prompt_parts
from voicebot.dialogue.schema import Choices, PlanKeys, Universal
from voicebot.dialogue.source import Key

Words = tuple[str, ...]

_FILLERS = frozenset(
    re.findall(
        r"\S+",
        "a an and am are at can could do does for hello hi how i i'd i'll i'm in is it it's like "
        "me my need of on please some that the there this to uh um want we what what's will with "
        "would you your",
    )
)
"""Words that do not tell one request from another."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """Words that ask for `form`: everywhere the form can be asked for, or in one `menu` only."""

    form: str
    key: Key
    text: str
    menu: str = ""
    is_example: bool = False


_FOREIGN = re.compile(r"\{%.*?%\}|</?[a-zA-Z][^<>]*>|\*\*")
"""Template code, SSML and Markdown: none of it is known to prompts."""


def check(checker: Checker, keys: PlanKeys) -> None:
    """Report words and keys that mean two things, and ladders without an exit."""
    offers = _Offers(keys)
    entries = list(_entries(keys))
    _check_intents(checker, offers, entries)
    _check_universals(checker, keys, entries)
    for name, choices in keys.lists.items():
        _check_choices(checker, ("lists", name), choices)
    for form_name, form in keys.forms.items():
        for name, field in form.fields.items():
            if field.choices is not None:
                here = ("forms", form_name, "fields", name, "choices")
                _check_choices(checker, here, field.choices)
        _check_fields(checker, keys, form_name)
    _check_menu_keys(checker, keys)
    _check_ladders(checker, keys)
    _check_braces(checker, keys)


def split(text: str) -> Words:
    """Words without case and punctuation."""
    return tuple(re.findall(r"[\w']+", text.lower()))


def _content(words: Words) -> frozenset[str]:
    """What two ways to say the same have in common."""
    return frozenset(words) - _FILLERS or frozenset(words)


# ---------------------------------------------------------------- requests


class _Offers:
    """Whether two forms can be asked for at the same place."""

    def __init__(self, keys: PlanKeys) -> None:
        self.anywhere = {name for name, form in keys.forms.items() if form.anywhere}
        self.menus: dict[str, set[str]] = {}
        for name, form in keys.forms.items():
            for entry in form.menu or ():
                self.menus.setdefault(entry.goto, set()).add(name)

    def meet(self, one: _Entry, other: _Entry) -> bool:
        """At some place both are offered."""
        if one.form == other.form:
            return False
        mine = {one.menu} if one.menu else self.menus.get(one.form, set())
        theirs = {other.menu} if other.menu else self.menus.get(other.form, set())
        return (
            bool(mine & theirs)
            or (one.form in self.anywhere and not one.menu)
            or (other.form in self.anywhere and not other.menu)
        )


def _entries(keys: PlanKeys) -> Iterator[_Entry]:
    for name, form in keys.forms.items():
        for group, is_example in (("phrases", False), ("examples", True)):
            for index, text in enumerate(getattr(form, group) or ()):
                yield _Entry(name, ("forms", name, group, index), text, "", is_example)
        for number, entry in enumerate(form.menu or ()):
            for group, is_example in (("phrases", False), ("examples", True)):
                for index, text in enumerate(getattr(entry, group) or ()):
                    key: Key = ("forms", name, "menu", number, group, index)
                    yield _Entry(entry.goto, key, text, name, is_example)


def _expanded(text: str, *, is_example: bool) -> Iterable[Words]:
    if is_example:
        return (split(text),)
    try:
        return patterns.expand(text, split)
    except patterns.PatternError:
        return ()  # reported as such


def _check_intents(checker: Checker, offers: _Offers, entries: list[_Entry]) -> None:
    exact: dict[Words, list[_Entry]] = {}
    near: dict[frozenset[str], list[_Entry]] = {}
    told: set[tuple[Key, str]] = set()
    for entry in entries:
        for words in _expanded(entry.text, is_example=entry.is_example):
            known = exact.setdefault(words, [])
            clash = next((one for one in known if offers.meet(one, entry)), None)
            if clash is not None and (entry.key, clash.form) not in told:
                told.add((entry.key, clash.form))
                _report_clash(checker, entry, clash, words)
            if entry not in known:
                known.append(entry)
        if entry.is_example:
            _check_example(checker, offers, entry, near, told)


def _report_clash(checker: Checker, entry: _Entry, clash: _Entry, words: Words) -> None:
    line = checker.source.line(locate(checker.data, clash.key))
    checker.report(
        entry.key,
        f"{' '.join(words)!r} asks for '{entry.form}' here, and for '{clash.form}' in line {line}; "
        "keep it in one of them",
        is_warning=True,
    )


def _check_example(
    checker: Checker,
    offers: _Offers,
    entry: _Entry,
    near: dict[frozenset[str], list[_Entry]],
    told: set[tuple[Key, str]],
) -> None:
    content = _content(split(entry.text))
    known = near.setdefault(content, [])
    for clash in known:
        if offers.meet(clash, entry) and (entry.key, clash.form) not in told:
            told.add((entry.key, clash.form))
            line = checker.source.line(locate(checker.data, clash.key))
            checker.report(
                entry.key,
                f"ambiguous example: {entry.text!r} for '{entry.form}' says nearly the same as "
                f"{clash.text!r} for '{clash.form}' in line {line}; make them differ",
                is_warning=True,
            )
            break
    known.append(entry)


def _check_universals(checker: Checker, keys: PlanKeys, entries: list[_Entry]) -> None:
    own: dict[str, Universal | None] = dict((keys.universals or {}).items())
    known: dict[Words, str] = {}
    for name, default in texts.of(keys.language).universals.items():
        if name in own and own[name] is None:
            continue
        universal = own.get(name)
        if name == "operator" and not has_operator(keys):
            continue
        phrases = (universal.phrases if universal is not None else None) or default.phrases or []
        for phrase in phrases:
            for words in _expanded(phrase, is_example=False):
                known.setdefault(words, name)
    for entry in entries:
        for words in _expanded(entry.text, is_example=entry.is_example):
            if words in known:
                checker.report(
                    entry.key,
                    f"{' '.join(words)!r} asks for '{entry.form}' here, but means the universal "
                    f"'{known[words]}' everywhere; take other words, or give that one its own "
                    "'phrases'",
                    is_warning=True,
                )
                break


# ---------------------------------------------------------------- values


def _meanings(choices: Choices) -> Iterator[tuple[str, Words]]:
    for value, choice in choices.items():
        yield value, split(value.replace("_", " "))
        for phrase in choice.phrases or ():
            yield from ((value, words) for words in _expanded(phrase, is_example=False))


def _check_choices(checker: Checker, key: Key, choices: Choices) -> None:
    known: dict[Words, str] = {}
    told: set[tuple[str, str]] = set()
    for value, words in _meanings(choices):
        other = known.setdefault(words, value)
        if other != value and (other, value) not in told:
            told.add((other, value))
            checker.report(
                (*key, value),
                f"{' '.join(words)!r} stands for both '{other}' and '{value}'; keep it in one",
                is_warning=True,
            )


def _check_fields(checker: Checker, keys: PlanKeys, form_name: str) -> None:
    """Values of different fields that the same words fill, where either may be meant."""
    form = keys.forms[form_name]
    known: dict[Words, str] = {}
    told: set[tuple[str, str]] = set()
    for name, field in form.fields.items():
        if field.choices is None:
            continue  # fields that share a list are told apart by what was asked
        for words in dict.fromkeys(words for _, words in _meanings(inherit.choices(keys, field))):
            other = known.setdefault(words, name)
            if other != name and (other, name) not in told:
                told.add((other, name))
                checker.report(
                    ("forms", form_name, "fields", name, "choices"),
                    f"{' '.join(words)!r} may fill '{other}' or '{name}'; make one of them longer, "
                    "such as 'medium roast'",
                    is_warning=True,
                )


# ---------------------------------------------------------------- keys and ladders


def _check_menu_keys(checker: Checker, keys: PlanKeys) -> None:
    taken = {
        universal.dtmf: f"the universal '{name}'"
        for name, universal in (keys.universals or {}).items()
        if universal is not None and universal.dtmf is not None
    }
    taken |= {
        language.dtmf: f"the language '{name}'"
        for name, language in keys.languages.items()
        if language.dtmf is not None
    }
    for name, form in keys.forms.items():
        for index, entry in enumerate(form.menu or ()):
            if entry.dtmf in taken:
                checker.report(
                    ("forms", name, "menu", index, "dtmf"),
                    f"key {entry.dtmf} stands for {taken[entry.dtmf]} already; take another one",
                    is_warning=True,
                )


def _check_braces(checker: Checker, keys: PlanKeys) -> None:
    """`{name}` belongs to phrases, tags and `{% %}` to others: callers would hear them."""
    for key, part in prompt_parts((), keys):
        if (found := _FOREIGN.search(part.say)) is not None:
            checker.report(
                (*key, "say"),
                f"'{found[0]}' is spoken as it stands; a part that is not always spoken has a "
                "'when', a silence is {{ pause 500ms }}, a pace {{ name | slow }}",
                is_warning=True,
            )
        outside = re.sub(r"\{\{.*?\}\}", "", part.say)
        if (found := re.search(r"\{\s*([A-Za-z_]\w*)\s*\}", outside)) is not None:
            checker.report(
                (*key, "say"),
                f"'{found[0]}' is spoken as it stands; a value is written {{{{ {found[1]} }}}}",
                is_warning=True,
            )


def _check_ladders(checker: Checker, keys: PlanKeys) -> None:
    if has_operator(keys):
        return
    for key, level in levels(keys):
        for name in ("noinput", "nomatch"):
            ladder = getattr(level, name)
            if ladder and not any(rung.leaves for rung in ladder):
                checker.report(
                    (*key, name),
                    f"'{name}': ladder without exit; after its last rung the call just ends. Give "
                    "it a transfer, goto or disconnect, or the plan a universal 'operator'",
                    is_warning=True,
                )
