"""Several choices where one was asked for: "checking and savings", "both"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from voicebot.events import Expectation, Interpretation, Reading, SlotSpec, SlotType, SlotValue
from voicebot.nlu.compiled import compile_expectation

Read = Callable[[str, Expectation], Interpretation]
_JOINT = re.compile(r"\s*(?:,|\b(?:and|y|e|plus|as well as)\b)[\s,]*", re.IGNORECASE)
_LEADING = re.compile(r"^(?:\s*(?:both|and|also|then|tambien|también)\b)+\s*", re.IGNORECASE)
_ALL = re.compile(
    r"(?:(?P<two>both|ambos|ambas|l[oa]s dos)|all|all (?:three|four)|tod[oa]s)"
    r"(?: (?:of them|of these|the))?(?: \w+)?(?: (?:please|por favor))?[.!]?",
    re.IGNORECASE,
)
MAX_ALL = 4
"""Of so many choices callers may want "all of them"."""


def listed(
    understood: Interpretation,
    expectation: Expectation,
    read: Read,
    is_bare: Callable[[Interpretation], bool],
) -> Interpretation:
    """The interpretation with the first of several choices, and the others as further wishes of
    the intent that speaks of that slot; with none of them where no intent does, or where another
    slot takes the same ("from which account?" "checking and savings"): then it is asked again.

    `is_bare`: whether nothing but values was said.
    """
    focus = next((one for one in expectation.slots if one.name == expectation.focus), None)
    if focus is None or focus.type is not SlotType.CHOICE or understood.intent is not None:
        return understood
    values = _values(understood, focus, expectation, read, is_bare)
    if len({value.value for value in values}) < 2:
        return understood
    others = [slot for slot in expectation.slots if slot.name != focus.name]
    wished = compile_expectation(expectation).mentioned_by[focus.name]
    if len(wished) != 1 or any(other.choices == focus.choices for other in others):
        return replace(understood, slots=(), confidence=0.0, nbest=())
    first, *more = {value.value: value for value in values}.values()
    intent = next(iter(wished))
    also = tuple(Reading(intent, (value,), value.confidence) for value in more)
    nbest = (Reading(None, (first,), first.confidence),)
    return replace(understood, slots=(first,), confidence=first.confidence, nbest=nbest, also=also)


def _values(
    understood: Interpretation,
    focus: SlotSpec,
    expectation: Expectation,
    read: Read,
    is_bare: Callable[[Interpretation], bool],
) -> list[SlotValue]:
    """The choices in an answer that is nothing else."""
    text = understood.text.strip()
    everything = _ALL.fullmatch(text)
    if everything is not None and understood.is_nomatch:
        count = len(focus.choices)
        fits = count == 2 if everything["two"] else count <= MAX_ALL
        return [SlotValue(focus.name, one.value, text, 1.0) for one in focus.choices if fits]
    said = [part for part in _JOINT.split(_LEADING.sub("", text)) if part.strip()]
    if len(said) < 2 or understood.denied:
        return []
    alone = replace(
        expectation, intents=(), universals=(), slots=(focus,), focus=focus.name, digits=None
    )
    found = [read(_LEADING.sub("", part), alone) for part in said]
    is_list = all(is_bare(one) and len(one.slots) == 1 for one in found)
    return [one.slots[0] for one in found] if is_list else []
