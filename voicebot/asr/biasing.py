"""What the dialogue waits for as an automaton for the search: compiled once and kept.

Phrases of choices, intents and hints get a bonus wherever they are said. What fills the slot
that was asked for (digits, letters, a date, yes or no) may also be the whole answer: such an
answer is free, any other text pays once. What pays may still be the best: the caller can say
what the dialogue does not expect.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from voicebot.asr import spoken, written
from voicebot.asr.automaton import Automaton, Loop
from voicebot.asr.lexicon import Entry, Lexicon, Tokens
from voicebot.asr.moonshine import END
from voicebot.events import CONFIRM_SLOT, MAX_WEIGHT, Expectation, SlotSpec, SlotType
from voicebot.patterns import NO, TITLES, YES, expand_leniently, name_forms

MAX_PHRASES, MAX_PATTERN_CHARS = 60_000, 1000
"""Expanded phrases of an Expectation, three times what a large directory has, and the length of one
pattern; what exceeds them is recognised without help."""
MAX_UNITS, MAX_WORDS = 40, 20
"""Digits or letters where the slot names no most, as many as are understood; words of a number, an
amount, a date or a time."""
MAX_BESIDE, MAX_SAID = 8, 16
"""Fillers beside what fills the slot ("um, I think it is"); phrases and fillers of an answer in so
many words. More of them are no answer but what the decoder makes of speech in another language."""
REPEATS = {SlotType.DIGITS: 12, SlotType.PHONE: 12, SlotType.LETTERS: 4}
"""The same digits or letters in a row, unless the slot's most says otherwise: no account has more
zeros, no name more of one letter. What else is said over and over is the decoder's invention."""
MAX_KEPT = 64
"""Compiled expectations kept: a plan has a few dozen states."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Bonuses and costs in nats, found on recordings for training (LOG.md).

    `word`: for each word of a phrase, wherever it is said. `unit`: for a word of what fills the
    slot asked for, as the whole answer; 0, as every bonus there is a price on words that nobody
    said. `name`: for a letter's name written out ("bee"). `mention`: for a word of what fills the
    slot within other text. `outside`: what other text pays where nothing but phrases and
    `outside_grammar` where nothing but a grammar is waited for: an expected answer is chosen if
    it is not less probable than that.
    """

    word: float = 0.7
    unit: float = 0.0
    name: float = -0.5
    mention: float = 0.0
    outside: float = 1.5
    outside_grammar: float = 6.0


class Biasing:
    """Automata of expectations over one vocabulary. For one thread at a time."""

    def __init__(self, tokens: Iterable[bytes], weights: Weights | None = None) -> None:
        self._vocabulary = list(tokens)
        self._tokens: Tokens | None = None
        self._weights = weights or Weights()
        self._kept: OrderedDict[object, Automaton | None] = OrderedDict()
        self._last: tuple[Expectation, Automaton | None] | None = None

    def warm_up(self) -> None:
        """Read the vocabulary now (a third of a second) and not at the first expectation."""
        if self._tokens is None:
            self._tokens = Tokens(self._vocabulary, END)

    def automaton(self, expectation: Expectation | None) -> Automaton | None:
        """For an expectation; None where it says nothing about the words."""
        if expectation is None:
            return None
        if self._last is not None and self._last[0] is expectation:
            return self._last[1]
        key = _key(expectation)
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = self._compiled(expectation)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        found = self._kept[key]
        self._last = (expectation, found)
        return found

    def _compiled(self, expectation: Expectation) -> Automaton | None:
        loops = list(loops_of(expectation, self._weights))
        if not loops:
            return None
        self.warm_up()
        assert self._tokens is not None
        return Automaton(loops, self._tokens)


def _key(expectation: Expectation) -> object:
    """What matters here; lists instead of tuples make a key by their text."""
    parts = (
        expectation.focus,
        expectation.slots,
        expectation.intents,
        expectation.universals,
        expectation.hints,
        expectation.weights,
    )
    try:
        hash(parts)
    except TypeError:
        return repr(parts)
    return parts


def loops_of(expectation: Expectation, weights: Weights) -> Iterator[Loop]:
    """The loops of an expectation: the open one and, with it, the closed ones."""
    phrases = list(_phrases(expectation, weights))
    focus = _focus(expectation)
    grammar = list(_grammar(focus, weights)) if focus is not None else []
    if not phrases and not grammar:
        return
    has_digits = focus is not None and focus.type in {SlotType.DIGITS, SlotType.PHONE}
    cost = weights.outside_grammar if grammar or _asks_yes_no(focus) else weights.outside
    mentioned = (Entry(entry.text, weights.mention * max(0, entry.count)) for entry in grammar)
    everything = [*phrases, *mentioned]
    yield Loop(Lexicon(everything), cost=cost, is_open=True, joins_figures=has_digits)
    if phrases:
        titles = TITLES if any(map(_called, expectation.slots)) else ()
        fillers = (Entry(text, 0.0) for text in (*spoken.FILLERS, *spoken.CARRIERS, *titles))
        most = MAX_BESIDE if _asks_yes_no(focus) else MAX_SAID
        yield Loop(Lexicon([*phrases, *fillers]), beside=most)
    if grammar and focus is not None:
        least, most = _lengths(focus)
        repeats = min(most, focus.max_length or REPEATS[focus.type]) if _counts(focus) else 0
        yield Loop(
            Lexicon(grammar),
            joins_figures=True,
            least=least,
            most=most,
            beside=MAX_BESIDE,
            repeats=repeats,
        )


def _focus(expectation: Expectation) -> SlotSpec | None:
    named = {slot.name: slot for slot in expectation.slots}
    return named.get(expectation.focus or "")


def _asks_yes_no(focus: SlotSpec | None) -> bool:
    return focus is not None and focus.type is SlotType.YES_NO


def _counts(slot: SlotSpec) -> bool:
    return slot.type in REPEATS


def _lengths(slot: SlotSpec) -> tuple[int, int]:
    """Units that fill the slot; contradictory lengths count as none given."""
    if not _counts(slot):
        return 1, MAX_WORDS
    least = slot.min_length or (7 if slot.type is SlotType.PHONE else 1)
    most = slot.max_length or (15 if slot.type is SlotType.PHONE else max(least, MAX_UNITS))
    return (least, most) if least <= most else (1, MAX_UNITS)


def _grammar(slot: SlotSpec, weights: Weights) -> Iterator[Entry]:
    names = {name for of_one in spoken.LETTER_NAMES.values() for name in of_one.split()}
    is_spelt = slot.type is SlotType.LETTERS
    for text, count in spoken.phrases_of(slot.type):
        bonus = weights.unit * max(0, count)
        if is_spelt and text in names:
            bonus = weights.name
        yield Entry(text, bonus, count)


def _phrases(expectation: Expectation, weights: Weights) -> Iterator[Entry]:
    """At most MAX_PHRASES: what is told over a wire must not hold up other calls."""
    return islice(_all_phrases(expectation, weights), MAX_PHRASES)


def _all_phrases(expectation: Expectation, weights: Weights) -> Iterator[Entry]:
    likely = dict(expectation.weights)
    for pattern in _patterns(expectation):
        if len(pattern) > MAX_PATTERN_CHARS:
            continue
        word = weights.word * min(MAX_WEIGHT, max(0.0, likely.get(pattern, 1.0)))
        for sequence in expand_leniently(pattern, written.words):
            for part in _between_slots(sequence):
                for text in written.readings(part):
                    yield Entry(text, word * len(part))


def _patterns(expectation: Expectation) -> Iterator[str]:
    """Everything that is said in so many words."""
    for slot in expectation.slots:
        for choice in slot.choices:
            yield from choice.phrases
            yield choice.value.replace("_", " ")
        if slot.type is SlotType.YES_NO and slot.name in {expectation.focus, CONFIRM_SLOT}:
            yield from (*YES, *NO)
    for intent in (*expectation.intents, *expectation.universals):
        yield from intent.phrases
    yield from expectation.hints
    for slot in expectation.slots:
        for forms in _called(slot).values():
            yield from forms


def _called(slot: SlotSpec) -> dict[str, tuple[str, ...]]:
    """What the people among a slot's choices are called besides: "Smith" for "John Smith"."""
    return name_forms(choice.value.replace("_", " ") for choice in slot.choices)


def _between_slots(sequence: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The stretches of words between `{slot}`s, whose values have phrases of their own."""
    part: list[str] = []
    for word in (*sequence, "{}"):
        if not word.startswith("{"):
            part.append(word)
        elif part:
            yield tuple(part)
            part = []
