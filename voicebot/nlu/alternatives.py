"""Which of the recogniser's texts is taken: the first, or an alternative explained better."""

from __future__ import annotations

from math import log

from voicebot.events import Hypothesis
from voicebot.nlu.compiled import CompiledExpectation
from voicebot.nlu.moment import Moment
from voicebot.nlu.text import tokenize
from voicebot.nlu.understanding import Understanding, understand

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


def best_understood(
    hypothesis: Hypothesis, first: Understanding, compiled: CompiledExpectation, moment: Moment
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
        other = understand(alternative.text, compiled, moment)
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
