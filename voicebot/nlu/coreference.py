"""What callers mean by "the same day", "that one", "make it two", "the other one".

They speak of a value that was just given or offered. The values so far are arguments, the last
one last; what comes back are slots of the Expectation, filled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from voicebot.events import (
    CONFIRM_SLOT,
    Expectation,
    Hypothesis,
    Interpretation,
    SlotSpec,
    SlotType,
    SlotValue,
)
from voicebot.nlu.context import name_words
from voicebot.nlu.text import tokenize
from voicebot.nlu.words import word_set

CONFIDENCE = 0.85
"""Of a value that was only referred to."""
UNSURE = 0.35
"""The same where it might be one of several: to be asked about."""
_NOUNS: dict[str, frozenset[SlotType]] = {
    **dict.fromkeys(word_set("day date"), frozenset({SlotType.DATE})),
    **dict.fromkeys(word_set("time hour"), frozenset({SlotType.TIME})),
    **dict.fromkeys(word_set("amount sum price"), frozenset({SlotType.AMOUNT, SlotType.NUMBER})),
    **dict.fromkeys(
        word_set("number"), frozenset({SlotType.PHONE, SlotType.DIGITS, SlotType.NUMBER})
    ),
    **dict.fromkeys(word_set("phone telephone"), frozenset({SlotType.PHONE})),
}
_FORMS = {
    SlotType.DATE: re.compile(r"\d{4}-\d\d-\d\d"),
    SlotType.TIME: re.compile(r"\d\d:\d\d"),
    SlotType.AMOUNT: re.compile(r"\d+\.\d\d"),
    SlotType.NUMBER: re.compile(r"\d+(?:\.\d+)?"),
    SlotType.DIGITS: re.compile(r"\d+"),
    SlotType.PHONE: re.compile(r"\+?\d{5,}"),
    SlotType.LETTERS: re.compile(r"[A-Z]+"),
    SlotType.YES_NO: re.compile(r"yes|no"),
}
_SAME = re.compile(
    r"\b(?:the |that )?(?:very )?same (?:(?P<noun>[a-z]+)\b)?|"
    r"\bthat (?P<that>[a-z]+) (?:again|too)\b"
)
_ALONE = re.compile(
    r"(?:(?:yes|yeah|okay|well|uh|um|please|i'll take|i'd like|i want|let's take|take|use|for|on|"
    r"at|the) )*(?:that one|this one|that|it|the same|same|same one|same again|same as before|"
    r"the same as before|as before)(?: (?:please|then|again|too|as well|thanks|one))*"
)
_CHANGE = re.compile(
    r"\b(?:make (?:it|that|this)|change (?:it|that|this) to|let's make (?:it|that)|(?:rather|"
    r"better) make (?:it|that)) (?P<value>.+)$|^(?:no )?(?P<instead>.+) instead$"
)
_OTHER = re.compile(r"\bthe other (?:one|[a-z]+)\b")
_EMPTY = word_set("one again thing please as too")
_BESIDE = re.compile(
    r"\b(?:(?P<cue>[a-z]+) )??(?:(?:(?:the|that|this) )?(?:very )?same(?: (?P<same>[a-z]+))?"
    r"(?: of (?P<of>[a-z]+))?|that (?P<that>[a-z]+)|the (?P<other>other) (?P<one>[a-z]+))\b"
)


def resolve(
    text: str, expectation: Expectation, recent: Sequence[SlotValue], *, today: date
) -> tuple[SlotValue, ...]:
    """The slots that a caller fills by pointing at one of the `recent` values (last one last).

    Empty when nothing is pointed at, or when it fits no slot. Never raises.
    """
    words = " ".join(word for token in tokenize(text) for word in token.words)
    slots = {slot.name: slot for slot in expectation.slots}
    focus = slots.get(expectation.focus or "")
    if not words or not recent:
        return ()
    change = _CHANGE.search(words)
    if change:
        changed = _changed(change["value"] or change["instead"], slots, recent, expectation, today)
        if changed:
            return changed
    found: list[SlotValue] = []
    if _OTHER.search(words) and focus is not None:
        found += _other(focus, recent)
    for match in _SAME.finditer(words):
        found += _same(match["noun"] or match["that"] or "", slots, focus, recent, match.group())
    if not found and focus is not None and _ALONE.fullmatch(words):
        found += _copied(focus, recent, words)
    return tuple({value.name: value for value in found}.values())


def beside(
    read: Interpretation,
    expectation: Expectation,
    recent: Sequence[SlotValue],
    mentions: frozenset[str] = frozenset(),
) -> tuple[SlotValue, ...]:
    """Values pointed at beside what was understood: "cancel the same day", "twenty dollars from
    that account". Slots that were filled by words are left alone, and so is a pointer that would
    suit several slots. Where a yes or no is asked for, so is a slot that has its value: "that
    amount is wrong" speaks of the slot, and fills nothing.

    `mentions`: slots that the intent's phrases speak of; the others are then not looked at.
    """
    words = " ".join(word for token in tokenize(read.text) for word in token.words)
    given = {slot.name for slot in (*read.slots, *read.denied)}
    known = [s for s in expectation.slots if s.type not in {SlotType.TEXT, SlotType.YES_NO}]
    if any(slot.name in given for slot in expectation.slots if slot.type is SlotType.TEXT):
        return ()
    said = " ".join(slot.text.lower() for slot in (*read.slots, *read.denied))
    is_read_back = any(slot.name == CONFIRM_SLOT for slot in expectation.slots)
    held = {value.name for value in recent} if is_read_back else set()
    found: dict[str, SlotValue] = {}
    for match in _BESIDE.finditer(words):
        pointer = match.group().removeprefix(f"{match['cue']} ")
        if pointer in said:
            continue  # the grammar has a value of that name
        filled = given | found.keys() | (set() if match["other"] else held)
        free = [s for s in known if s.name not in filled]
        fitting = _meant(match, free, known, mentions, has_intent=read.intent is not None)
        if any(slot.name == expectation.focus for slot in fitting):
            fitting = [slot for slot in fitting if slot.name == expectation.focus]
        options = [
            value
            for slot in fitting
            if (value := _pointed_at(slot, match, read.slots, recent, pointer)) is not None
        ]
        own = [value for value in options if any(value.name == one.name for one in recent)]
        if len(options) > 1 and len(own) == 1:
            options = own
        if len(options) == 1:
            found[options[0].name] = options[0]
    return tuple(found.values())


def _meant(
    match: re.Match[str],
    free: Sequence[SlotSpec],
    known: Sequence[SlotSpec],
    mentions: frozenset[str],
    *,
    has_intent: bool,
) -> list[SlotSpec]:
    """The free slots that a pointer may speak of, by its noun and the word before it."""
    noun = match["same"] or match["that"] or match["one"] or ""
    fitting = [slot for slot in free if not mentions or slot.name in mentions]
    cued = [slot.name for slot in known if (match["cue"] or "") in name_words(slot.name)]
    if cued and len(cued) < len(known):
        fitting = [slot for slot in fitting if slot.name in cued]
    of = match["of"]
    if noun in _NOUNS:
        fitting = [slot for slot in fitting if slot.type in _NOUNS[noun]]
        if of and any(of in name_words(slot.name) for slot in fitting):
            fitting = [slot for slot in fitting if of in name_words(slot.name)]
        return fitting
    if not noun or noun in _EMPTY:
        return fitting if has_intent or cued else []
    return [slot for slot in fitting if noun in name_words(slot.name) or noun in _words_of(slot)]


def _words_of(slot: SlotSpec) -> frozenset[str]:
    """The words of a slot's choices: "account" of the savings account."""
    phrases = (phrase for choice in slot.choices for phrase in choice.phrases)
    return frozenset(word for phrase in phrases for word in re.findall(r"[a-z]+", phrase.lower()))


def _pointed_at(
    slot: SlotSpec,
    match: re.Match[str],
    said: Sequence[SlotValue],
    recent: Sequence[SlotValue],
    text: str,
) -> SlotValue | None:
    """What the slot would hold then: no value that another choice took in the same breath."""
    taken = {value.value for value in said}
    if match["other"]:
        found = _other(slot, (*recent, *said))
        return found[0] if found else None
    usable = [v for v in reversed(recent) if _fits(v.value, slot)]
    if slot.type is SlotType.CHOICE:
        usable = [value for value in usable if value.value not in taken]
    own = [value for value in usable if value.name == slot.name]
    if not usable:
        return None
    is_sure = bool(own) or len({value.value for value in usable}) == 1
    value = (own or usable)[0].value
    return SlotValue(slot.name, value, text, CONFIDENCE if is_sure else UNSURE)


def _changed(
    said: str,
    slots: dict[str, SlotSpec],
    recent: Sequence[SlotValue],
    expectation: Expectation,
    today: date,
) -> tuple[SlotValue, ...]:
    """The slot that explains most of what was said, of equals the last, with the new value."""
    from voicebot.nlu.interpreter import interpret  # the interpreter may come to use this module

    best: SlotValue | None = None
    for last in reversed(recent):
        slot = slots.get(last.name)
        if slot is None or slot.type is SlotType.TEXT:
            continue
        alone = replace(
            expectation, focus=slot.name, slots=(slot,), intents=(), universals=(), digits=None
        )
        read = interpret(Hypothesis(text=said, confidence=1.0), alone, today=today)
        values = [value for value in read.slots if value.name == slot.name]
        if values and (best is None or len(values[0].text) > len(best.text)):
            best = values[0]
    return () if best is None else (replace(best, confidence=min(best.confidence, CONFIDENCE)),)


def _same(
    noun: str,
    slots: dict[str, SlotSpec],
    focus: SlotSpec | None,
    recent: Sequence[SlotValue],
    text: str,
) -> list[SlotValue]:
    types = _NOUNS.get(noun)
    if types is not None:
        fitting = [slot for slot in slots.values() if slot.type in types]
    elif not noun or noun in _EMPTY:
        fitting = [focus] if focus is not None else []
    else:
        fitting = [slot for slot in slots.values() if noun in slot.name.lower().split("_")]
        if not fitting and focus is not None and focus.type is SlotType.CHOICE:
            fitting = [focus]  # "the same account", asked "to which one?"
    if focus in fitting and focus is not None:
        fitting = [focus]
    for slot in fitting:
        copied = _copied(slot, recent, text)
        if copied:
            return copied
    return []


def _copied(slot: SlotSpec, recent: Sequence[SlotValue], text: str) -> list[SlotValue]:
    """The last value that the slot could hold; one of its own name goes before."""
    usable = [value for value in reversed(recent) if _fits(value.value, slot)]
    own = [value for value in usable if value.name == slot.name]
    return [SlotValue(slot.name, v.value, text.strip(), CONFIDENCE) for v in (own or usable)[:1]]


def _other(slot: SlotSpec, recent: Sequence[SlotValue]) -> list[SlotValue]:
    """Of two choices the one that was not spoken of last."""
    values = [choice.value for choice in slot.choices]
    last = next((value.value for value in reversed(recent) if value.value in values), None)
    if last is None or len(values) != 2:
        return []
    return [SlotValue(slot.name, values[1 - values.index(last)], "the other", CONFIDENCE)]


def _fits(value: str, slot: SlotSpec) -> bool:
    if slot.type is SlotType.CHOICE:
        return value in {choice.value for choice in slot.choices}
    if slot.type is SlotType.TEXT:
        return bool(value)
    if not _FORMS[slot.type].fullmatch(value):
        return False
    length = len(value)
    if slot.type in {SlotType.DIGITS, SlotType.PHONE, SlotType.LETTERS}:
        return (slot.min_length or 1) <= length <= (slot.max_length or length)
    return True
