"""The meaning of an utterance, given what the dialogue waits for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import log

from voicebot.events import (
    Expectation,
    Hypothesis,
    Interpretation,
    Reading,
    SlotType,
    SlotValue,
)
from voicebot.nlu.compiled import NEITHER, CompiledExpectation, compile_expectation
from voicebot.nlu.completeness import completeness
from voicebot.nlu.coreference import resolve
from voicebot.nlu.keys import interpret_keys
from voicebot.nlu.segmenter import Segmentation
from voicebot.nlu.several import parts
from voicebot.nlu.similarity import Heard
from voicebot.nlu.text import tokenize
from voicebot.nlu.understanding import Understanding, understand, unexplained
from voicebot.nlu.words import word_set

__all__ = ["completeness", "interpret", "interpret_keys", "prepare"]

MAX_ALTERNATIVES = 8
ALTERNATIVE = 1.5
"""Gain lost per nat of recogniser confidence between the best text and an alternative."""
LEAST_GAIN = 0.05
FLOOR = 1e-3
"""An alternative must explain this much more; confidences below the floor count as the floor."""
AS_LIKELY = 0.9
"""An alternative that only adds words to a text that is understood must be as likely as this: a
recogniser may break off early, but who said "two" did not say "two two"."""
NEARLY = 0.85
"""One that takes a value back for the sake of another slot must be as likely as this."""
MAX_READINGS = 5
_TEXT_CARRIER = word_set("it's its is my name this i'm am i the uh um er called")


def interpret(
    hypothesis: Hypothesis,
    expectation: Expectation,
    *,
    today: date,
    recent: Sequence[SlotValue] = (),
) -> Interpretation:
    """Intent and slots of what was heard; nomatch when nothing expected was said.

    Every slot of the Expectation may be filled. Never raises, whatever the text. Alternatives
    of the recogniser count when the grammar explains them better than the first text. Where the
    grammar hears no intent, the classifier trained on the intents' examples may (intents_fallback);
    wishes beyond the first are in `also`. Where nothing was understood, the caller may have pointed
    at one of the `recent` values, last one last ("the same day").
    """
    understood = _one(hypothesis, expectation, today, recent)
    if understood.intent is None or understood.is_universal:
        return understood

    def read(text: str) -> tuple[str | None, float, Interpretation]:
        part = _one(replace(hypothesis, text=text, nbest=()), expectation, today)
        return (None if part.is_universal else part.intent), part.confidence, part

    wishes = parts(hypothesis.text, read)
    if not wishes:
        return understood
    first, *others = (wish.read for wish in wishes)
    also = tuple(Reading(o.intent, o.slots, o.confidence) for o in others)
    return replace(first, text=hypothesis.text, also=also)


def prepare(expectation: Expectation) -> None:
    """Do now what the first utterance would wait for: compile the phrases, learn the examples."""
    compile_expectation(expectation)
    if any(intent.examples for intent in expectation.intents):
        from voicebot.nlu.intents_fallback import classifier_of

        classifier_of(expectation)


def _one(
    hypothesis: Hypothesis,
    expectation: Expectation,
    today: date,
    recent: Sequence[SlotValue] = (),
) -> Interpretation:
    """As one wish: by the grammar, else pointed at, else as learned from examples."""
    understood = _by_grammar(hypothesis, expectation, today)
    if understood.is_nomatch and recent:
        pointed = resolve(hypothesis.text, expectation, recent, today=today)
        if pointed:
            return _pointed(understood, pointed, hypothesis.confidence)
    if understood.intent is None and any(intent.examples for intent in expectation.intents):
        # Imported where examples ask for it: a second, and memory, that other plans save.
        from voicebot.nlu.intents_fallback import with_learned_intent

        return with_learned_intent(understood, expectation, hypothesis.confidence)
    return understood


def _pointed(
    understood: Interpretation, slots: tuple[SlotValue, ...], confidence: float
) -> Interpretation:
    """The interpretation with slots that were only referred to."""
    slots = tuple(
        replace(slot, confidence=round(combined(slot.confidence, confidence), 4)) for slot in slots
    )
    sure = min(slot.confidence for slot in slots)
    return replace(understood, slots=slots, confidence=sure, nbest=(Reading(None, slots, sure),))


def _by_grammar(hypothesis: Hypothesis, expectation: Expectation, today: date) -> Interpretation:
    """What the phrases and entities explain."""
    compiled = compile_expectation(expectation)
    understood = understand(hypothesis.text, compiled, today)
    understood, confidence = _best(hypothesis, understood, compiled, today)
    return _interpretation(hypothesis, compiled, understood, confidence)


def _best(
    hypothesis: Hypothesis, first: Understanding, compiled: CompiledExpectation, today: date
) -> tuple[Understanding, float]:
    """The text that the dialogue can use best, and the recogniser's confidence in it.

    By gain, less what the recogniser thinks worse of it. An alternative that fills no other slots,
    or is less likely, overrules no value that the first text has in so many words. Where that text
    is understood from end to end, only one that goes on where it breaks off, and is about as
    likely, counts.
    """
    best, confidence = first, hypothesis.confidence
    best_gain = first.gain
    likely = _likelihood(hypothesis)
    tried = {first.heard.words}
    for alternative in hypothesis.nbest[:MAX_ALTERNATIVES]:
        tokens = tokenize(alternative.text)
        words = tuple(word for token in tokens for word in token.words)
        if words in tried:
            continue  # differs in spelling only
        tried.add(words)
        ratio = max(alternative.confidence, FLOOR) / max(likely, FLOOR)
        if first.is_explained and not (ratio >= AS_LIKELY and _adds(words, first.heard.words)):
            continue
        other = understand(alternative.text, compiled, today)
        gain = other.gain - max(ALTERNATIVE * -log(ratio), LEAST_GAIN)
        if gain > best_gain and not _overrules(other, first, is_likely=ratio >= NEARLY):
            best, best_gain = other, gain
            confidence = hypothesis.confidence * min(1.0, ratio)
    return best, confidence


def _likelihood(hypothesis: Hypothesis) -> float:
    """Of the first text, on the scale of the alternatives, which a calibrated confidence is not
    on."""
    of_it = (a.confidence for a in hypothesis.nbest if a.text == hypothesis.text)
    return next(of_it, hypothesis.confidence)


def _values(understood: Understanding, least: float) -> dict[str, tuple[str, str]]:
    """Slot -> its value and its words, of those heard at least so well."""
    parts = understood.segmentations[0].candidates if understood.segmentations else ()
    return {
        fill.slot: (fill.value, understood.words_of(fill.start, fill.end).lower())
        for part in parts
        if not part.is_denied
        for fill in part.fills
        if fill.quality >= least
    }


def _overrules(other: Understanding, first: Understanding, *, is_likely: bool) -> bool:
    """Whether it gives another value to one of the same slots that was said in so many words, and
    not by the same words and more. One that is about as likely may, if it fills another slot."""
    said, exact = _values(other, 0.0), _values(first, 1.0)
    if is_likely and said.keys() - _values(first, 0.0).keys():
        return False
    return any(
        slot in exact and exact[slot][0] != value and exact[slot][1] not in words
        for slot, (value, words) in said.items()
    )


def _adds(words: tuple[str, ...], to: tuple[str, ...]) -> bool:
    """Whether `words` are all of `to` and more behind them."""
    return len(words) > len(to) and words[: len(to)] == to


# ---------------------------------------------------------------- to the dialogue's values


def _interpretation(
    hypothesis: Hypothesis,
    compiled: CompiledExpectation,
    understood: Understanding,
    confidence: float,
) -> Interpretation:
    readings: list[Reading] = []
    sure = _Sureness.of(hypothesis, understood, confidence)
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
    sureness: _Sureness,
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
            value = fill.value
            if compiled.slots[fill.slot].type is SlotType.TEXT:
                value = text
            sure = combined(fill.quality, sureness.between(fill.start, fill.end))
            scores.append(sure)
            (denied if candidate.is_denied else slots).append(
                SlotValue(fill.slot, value, text, round(sure, 4))
            )
    if intent is None:
        intent = _intent_of_slots(compiled, {s.name for s in slots})
    score = sum(scores) / len(scores) if scores else 0.0
    return Reading(intent, tuple(slots), round(score, 4)), tuple(denied), is_universal


def combined(quality: float, confidence: float) -> float:
    """Confidence in a value: how well it matched, and how sure the recogniser was of its words.

    Both are shares of 1: the recogniser's confidence is calibrated with what was expected.
    """
    return quality * min(1.0, max(0.0, confidence))


@dataclass(frozen=True, slots=True)
class _Sureness:
    """How sure the recogniser was of each token of a text."""

    heard: Heard
    tokens: tuple[float, ...]

    @classmethod
    def of(cls, hypothesis: Hypothesis, understood: Understanding, confidence: float) -> _Sureness:
        """Of the hypothesis' text or one of its alternatives; words that the recogniser says
        nothing of are as sure as the text, `confidence`."""
        text = understood.text
        begins = [at for at, sign in enumerate(text) if sign != " " and text[at - 1 : at] in " "]
        words = hypothesis.words
        if text == hypothesis.text and len(words) == len(begins):
            of_words = [word.confidence for word in words]
        else:  # an alternative, or typed
            known = {_folded(word.text): word.confidence for word in words}
            of_words = [known.get(_folded(word), confidence) for word in text.split()]
        found, at = [], 0
        for token in understood.tokens:
            begin = text.find(token.raw, at)
            if begin < 0:
                found.append(confidence)
                continue
            at = begin + len(token.raw)
            found.append(of_words[bisect_right(begins, begin) - 1])
        return cls(understood.heard, tuple(found))

    def between(self, start: int, end: int) -> float:
        """Mean over the tokens behind a span of sounds."""
        token_of, word_at = self.heard.token_of, self.heard.word_at
        if end <= start:
            return sum(self.tokens) / max(1, len(self.tokens))
        first, last = (token_of[word_at[at]] for at in (start, end - 1))
        return sum(self.tokens[first : last + 1]) / (last + 1 - first)


def _folded(word: str) -> str:
    return "".join(sign for sign in word.casefold() if sign.isalnum())


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
