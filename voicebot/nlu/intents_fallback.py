"""The trained classifier behind the grammar: intents that no phrase of a plan foresaw.

It learns, once, from the example sentences of the intents that are waited for and from their
phrases; without any example it stays silent. Universals are learned too, so that "I need a human
being" is not taken for the nearest wish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voicebot.events import Expectation, IntentSpec, Interpretation, Reading
from voicebot.nlu import small_talk
from voicebot.nlu.grammar import expand_leniently
from voicebot.nlu.intents import IntentClassifier, IntentScore, trained
from voicebot.nlu.intents_features import words_of
from voicebot.nlu.matcher import FILLERS
from voicebot.nlu.similarity import STOP_WORDS
from voicebot.nlu.sureness import combined

FLOOR = 0.35
"""Less likely intents are nomatch."""
CALLS = {"operator": 0.6, "help": 0.6, "repeat": 0.75}
"""Universals that are heard in other words than their phrases, and how likely they must be then.
The others end something: "hang on", "good afternoon" and "I have a question" are the likeliest
goodbye or way back that a few phrases can tell. They count where a plan gives examples of them."""
ALTERNATIVE = 0.1
"""Less likely ones are no alternatives."""
MAX_PHRASES = 24
"""Sentences taken from the phrases of one intent, evenly spread."""


def classifier_of(expectation: Expectation) -> IntentClassifier | None:
    """The classifier for the intents of an Expectation, trained when first asked for (well under
    a second for a plan's examples), None when there is nothing to learn. To be called for every
    field when a plan is loaded, so that no caller waits for it."""
    specs = (*expectation.intents, *expectation.universals)
    if expectation.language != "en" or not any(spec.examples for spec in expectation.intents):
        return None
    examples = tuple((text, spec.name) for spec in specs for text in _sentences(spec))
    if len({name for _, name in examples}) < 2:
        return None
    return trained(examples)


def _sentences(spec: IntentSpec) -> list[str]:
    """What the intent is learned from: its examples, and its phrases without their slots."""
    spelled = [
        " ".join(word for word in words if not word.startswith("{"))
        for phrase in spec.phrases
        for words in expand_leniently(phrase)
    ]
    spelled = [text for text in dict.fromkeys(spelled) if set(text.split()) - STOP_WORDS]
    step = max(1, -(-len(spelled) // MAX_PHRASES))
    return [text for text in (*spec.examples, *spelled[::step]) if words_of(text)]


def with_learned_intent(
    understood: Interpretation, expectation: Expectation, confidence: float
) -> Interpretation:
    """The interpretation with the intent that the classifier hears, if the grammar heard none.

    `confidence`: the recogniser's. An answer to the question that was asked needs no intent.
    """
    filled = {slot.name for slot in understood.slots}
    if understood.intent is not None or understood.denied or expectation.focus in filled:
        return understood
    words = words_of(understood.text)
    if not set(words) - STOP_WORDS - FILLERS or small_talk.is_all(words, expectation.language):
        return understood
    classifier = classifier_of(expectation)
    if classifier is None:
        return understood
    scores = classifier.classify(understood.text)
    if not scores or scores[0].confidence < FLOOR:
        return understood
    universals = {spec.name: spec for spec in expectation.universals}
    called = universals.get(scores[0].name)
    least = FLOOR if called is None or called.examples else CALLS.get(called.name, 1.0)
    if scores[0].confidence < least:
        return understood
    readings = _readings(scores, understood, confidence)
    return replace(
        understood,
        intent=readings[0].intent,
        confidence=readings[0].confidence,
        nbest=readings,
        is_universal=readings[0].intent in universals,
    )


def _readings(
    scores: Sequence[IntentScore], understood: Interpretation, confidence: float
) -> tuple[Reading, ...]:
    likely = [s for i, s in enumerate(scores[:5]) if i == 0 or s.confidence >= ALTERNATIVE]
    return tuple(
        Reading(s.name, understood.slots, round(combined(s.confidence, confidence), 4))
        for s in likely
    )
