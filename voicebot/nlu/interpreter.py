"""The meaning of an utterance, given what the dialogue waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, time
from functools import partial

from voicebot.events import (
    Expectation,
    Hypothesis,
    Interpretation,
    Reading,
    SlotType,
    SlotValue,
)
from voicebot.nlu.alternatives import best_understood
from voicebot.nlu.compiled import NEITHER, CompiledExpectation, compile_expectation
from voicebot.nlu.completeness import completeness
from voicebot.nlu.coreference import beside, resolve
from voicebot.nlu.keys import interpret_keys
from voicebot.nlu.lists import listed
from voicebot.nlu.moment import Moment
from voicebot.nlu.segmenter import Segmentation
from voicebot.nlu.several import parts
from voicebot.nlu.similarity import STOP_WORDS
from voicebot.nlu.spanish import is_spanish
from voicebot.nlu.sureness import Sureness, combined
from voicebot.nlu.text import tokenize
from voicebot.nlu.understanding import Understanding, understand, unexplained
from voicebot.nlu.words import word_set

__all__ = ["completeness", "interpret", "interpret_keys", "prepare"]

MAX_READINGS = 5
_TEXT_CARRIER = word_set("it's its is my name this i'm am i the uh um er called")


def interpret(
    hypothesis: Hypothesis,
    expectation: Expectation,
    *,
    today: date,
    now: time | None = None,
    recent: Sequence[SlotValue] = (),
) -> Interpretation:
    """Intent and slots of what was heard; nomatch when nothing expected was said.

    Every slot of the Expectation may be filled. Never raises, whatever the text. Alternatives
    of the recogniser count when the grammar explains them better than the first text. Where the
    grammar hears no intent, the classifier trained on the intents' examples may (intents_fallback);
    wishes beyond the first are in `also`. For slots that no words filled, the caller may have
    pointed at one of the `recent` values, last one last ("the same day"). `today` and `now` are the
    caller's; without `now` times that count from it ("in an hour") are not understood.
    """
    moment = Moment(today, now, day_first=is_spanish(expectation.language))
    understood = _one(hypothesis, expectation, moment, recent)

    def said(text: str, expected: Expectation = expectation) -> Interpretation:
        return _one(replace(hypothesis, text=text, nbest=()), expected, moment)

    if understood.intent is None:
        return listed(understood, expectation, said, _is_bare)
    if understood.is_universal:
        return understood

    def read(text: str) -> tuple[str | None, float, Interpretation]:
        part = said(text)
        return (None if part.is_universal else part.intent), part.confidence, part

    whole = [slot.text for slot in understood.slots]
    wishes = parts(hypothesis.text, read, partial(_contrast, expectation), whole)
    if not wishes:
        return understood
    values = list(recent)
    found: list[Interpretation] = []
    for wish in wishes:
        one = _of_same_kind(found[-1], wish.read, expectation, said) if found else wish.read
        found.append(_with_pointed(one, expectation, values, hypothesis.confidence))
        values += found[-1].slots
    first, *others = found
    also = tuple(Reading(o.intent, o.slots, o.confidence) for o in others)
    return replace(first, text=hypothesis.text, also=also)


def _contrast(expectation: Expectation, one: Interpretation, other: Interpretation) -> bool:
    """Whether parts of one intent are two wishes: they give a slot two values. A value alone does
    so for choices only: "two hundred" "and fifty dollars" is one amount."""
    before = {slot.name: slot.value for slot in one.slots}
    twice = {slot.name for slot in other.slots if before.get(slot.name, slot.value) != slot.value}
    if not twice:
        return False
    types = {slot.name: slot.type for slot in expectation.slots}
    return not _is_bare(other) or all(types.get(name) is SlotType.CHOICE for name in twice)


def _is_bare(one: Interpretation) -> bool:
    """Whether nothing but its values was said."""
    said = {word for slot in one.slots for token in tokenize(slot.text) for word in token.words}
    words = {word for token in tokenize(one.text) for word in token.words}
    return not words - said - STOP_WORDS


def _of_same_kind(
    one: Interpretation,
    other: Interpretation,
    expectation: Expectation,
    read: Callable[[str, Expectation], Interpretation],
) -> Interpretation:
    """The second wish; where it is but a choice that the first could have named, the same is
    wished again: of "I lost my debit card and my credit card" both are lost."""
    held = {slot.name: slot.value for slot in one.slots}
    slots = [s for s in expectation.slots if s.name in held and s.type is SlotType.CHOICE]
    if one.intent == other.intent or len(slots) != 1 or not _is_bare(other):
        return other
    asked = replace(expectation, intents=(), universals=(), slots=tuple(slots), focus=slots[0].name)
    again = read(other.text, asked)
    is_another = again.slots and again.slots[0].value != held[slots[0].name]
    return replace(again, intent=one.intent) if is_another and _is_bare(again) else other


def prepare(expectation: Expectation) -> None:
    """Do now what the first utterance would wait for: compile the phrases, learn the examples."""
    compile_expectation(expectation)
    if any(intent.examples for intent in expectation.intents):
        from voicebot.nlu.intents_fallback import classifier_of

        classifier_of(expectation)


def _one(
    hypothesis: Hypothesis,
    expectation: Expectation,
    moment: Moment,
    recent: Sequence[SlotValue] = (),
) -> Interpretation:
    """As one wish: by the grammar, else pointed at, else as learned from examples."""
    understood = _by_grammar(hypothesis, expectation, moment)
    if understood.is_nomatch and recent:
        pointed = resolve(hypothesis.text, expectation, recent, today=moment.today)
        if pointed:
            understood = _pointed(understood, pointed, hypothesis.confidence)
            if expectation.focus is not None:
                return understood
    elif recent:
        understood = _with_pointed(understood, expectation, recent, hypothesis.confidence)
    if understood.intent is None and any(intent.examples for intent in expectation.intents):
        # Imported where examples ask for it: a second, and memory, that other plans save.
        from voicebot.nlu.intents_fallback import with_learned_intent

        return with_learned_intent(understood, expectation, hypothesis.confidence)
    return understood


def _pointed(
    understood: Interpretation, slots: tuple[SlotValue, ...], confidence: float
) -> Interpretation:
    """The interpretation with slots that were only referred to."""
    slots = _scaled(slots, confidence)
    sure = min(slot.confidence for slot in slots)
    return replace(understood, slots=slots, confidence=sure, nbest=(Reading(None, slots, sure),))


def _with_pointed(
    understood: Interpretation,
    expectation: Expectation,
    recent: Sequence[SlotValue],
    confidence: float,
) -> Interpretation:
    """The interpretation with slots pointed at beside what was said in words."""
    if not recent or understood.is_universal:
        return understood
    mentioned_by = compile_expectation(expectation).mentioned_by
    mentions = frozenset(n for n, intents in mentioned_by.items() if understood.intent in intents)
    found = beside(understood, expectation, recent, mentions)
    if not found:
        return understood
    added = _scaled(found, confidence)
    readings = tuple(
        replace(
            one,
            slots=(*one.slots, *(a for a in added if all(a.name != s.name for s in one.slots))),
        )
        for one in understood.nbest
    )
    return replace(understood, slots=(*understood.slots, *added), nbest=readings)


def _scaled(slots: tuple[SlotValue, ...], confidence: float) -> tuple[SlotValue, ...]:
    return tuple(
        replace(slot, confidence=round(combined(slot.confidence, confidence), 4)) for slot in slots
    )


def _by_grammar(hypothesis: Hypothesis, expectation: Expectation, moment: Moment) -> Interpretation:
    """What the phrases and entities explain."""
    compiled = compile_expectation(expectation)
    understood = understand(hypothesis.text, compiled, moment)
    understood, confidence = best_understood(hypothesis, understood, compiled, moment)
    return _interpretation(hypothesis, compiled, understood, confidence)


# ---------------------------------------------------------------- to the dialogue's values


def _interpretation(
    hypothesis: Hypothesis,
    compiled: CompiledExpectation,
    understood: Understanding,
    confidence: float,
) -> Interpretation:
    readings: list[Reading] = []
    sure = Sureness.of(hypothesis, understood, confidence)
    best = understood.gain
    denied: tuple[SlotValue, ...] = ()
    universal = False
    for segmentation in understood.segmentations:
        reading, rejected, is_universal = _reading(segmentation, compiled, understood, sure)
        share = 1.0 / (1.0 + max(0.0, best - segmentation.gain)) if readings else 1.0
        reading = Reading(reading.intent, reading.slots, round(reading.confidence * share, 4))
        if not readings:
            denied, universal = rejected, is_universal
        if all(_meaning(reading) != _meaning(r) for r in readings):
            readings.append(reading)
        if len(readings) == MAX_READINGS:
            break
    text_slot = _text_slot(compiled, understood, readings, confidence)
    if text_slot is not None:
        readings = [Reading(None, (text_slot,), text_slot.confidence)]
        denied, universal = (), False
    first = readings[0] if readings else Reading(None)
    return Interpretation(
        intent=first.intent,
        slots=first.slots,
        confidence=first.confidence,
        nbest=tuple(readings),
        text=hypothesis.text,
        is_universal=universal,
        denied=denied,
    )


def _meaning(reading: Reading) -> tuple[object, ...]:
    return reading.intent, frozenset((s.name, s.value) for s in reading.slots)


def _reading(
    segmentation: Segmentation,
    compiled: CompiledExpectation,
    understood: Understanding,
    sureness: Sureness,
) -> tuple[Reading, tuple[SlotValue, ...], bool]:
    slots: list[SlotValue] = []
    denied: list[SlotValue] = []
    intent, is_universal, scores = None, False, []
    for candidate in segmentation.candidates:
        if candidate.intent is not None:
            intent, is_universal = candidate.intent, candidate.is_universal
            heard = sureness.between(candidate.start, candidate.end)
            scores.append(combined(candidate.quality, heard))
        for fill in candidate.fills:
            if fill.value == NEITHER and compiled.slots[fill.slot].type is SlotType.YES_NO:
                continue  # "I'm not sure"
            text = understood.words_of(fill.start, fill.end)
            value, kind = fill.value, compiled.slots[fill.slot].type
            if kind is SlotType.TEXT:
                value = text
            heard = sureness.of_fill(fill, segmentation.candidates, kind)
            sure = combined(fill.quality, heard)
            scores.append(sure)
            (denied if candidate.is_denied else slots).append(
                SlotValue(fill.slot, value, text, round(sure, 4))
            )
    if intent is None:
        intent = _intent_of_slots(compiled, {s.name for s in slots})
    score = sum(scores) / len(scores) if scores else 0.0
    return Reading(intent, tuple(slots), round(score, 4)), tuple(denied), is_universal


def _intent_of_slots(compiled: CompiledExpectation, filled: set[str]) -> str | None:
    """The intent that slots alone mean: by its pattern, or as the only one that speaks of them
    all when the question was another ("downtown" said at a menu)."""
    for name, needed in compiled.slot_only:
        if needed <= filled:
            return name
    if compiled.focus is not None and compiled.focus.name in filled:
        return None
    speaking = [compiled.mentioned_by[name] for name in filled if compiled.mentioned_by[name]]
    common = set.intersection(*speaking) if speaking else set()
    return common.pop() if len(common) == 1 else None


def _text_slot(
    compiled: CompiledExpectation,
    understood: Understanding,
    readings: Sequence[Reading],
    confidence: float,
) -> SlotValue | None:
    """The whole utterance, where free words were asked for and nothing else explains them."""
    if compiled.focus is None or compiled.focus.type is not SlotType.TEXT or not understood.tokens:
        return None
    if understood.segmentations:
        parts = understood.segmentations[0].candidates
        rest = len(unexplained(understood.heard, parts))
        if any(f.slot == compiled.focus.name for c in parts for f in c.fills) or rest <= 1:
            return None
    tokens = list(understood.tokens)
    while len(tokens) > 1 and tokens[0].text in _TEXT_CARRIER:
        tokens.pop(0)
    text = " ".join(token.raw for token in tokens)
    return SlotValue(compiled.focus.name, text, text, round(combined(1.0, confidence), 4))
