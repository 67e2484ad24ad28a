"""An Expectation made ready for matching: tries, lexicon, slots; compiled once and kept."""

from __future__ import annotations

from functools import lru_cache

from voicebot.events import CONFIRM_SLOT, Expectation, IntentSpec, SlotSpec, SlotType
from voicebot.nlu import names
from voicebot.nlu.answers import answers, completing, declining
from voicebot.nlu.grammar import Trie, expand_leniently
from voicebot.nlu.matcher import Meaning, PhraseMatcher
from voicebot.nlu.similarity import Lexicon
from voicebot.nlu.spanish import is_spanish, tokenize_spanish
from voicebot.nlu.text import Token, tokenize
from voicebot.nlu.undecided import ENGLISH_LINKS, SPANISH_LINKS

MAX_SLOTS = 30
"""Slots considered at once; more than any form has."""


_COUNTED = frozenset({SlotType.NUMBER, SlotType.AMOUNT, SlotType.TIME, SlotType.DIGITS})
_RANGED = frozenset({SlotType.NUMBER, SlotType.AMOUNT, SlotType.TIME, SlotType.DATE})
_STRINGS = frozenset({SlotType.DIGITS, SlotType.PHONE, SlotType.LETTERS})
NEITHER = ""
"""Value of a yes/no slot where the caller does not know: nothing is filled."""


class CompiledExpectation:
    """What the modules of this room need to know about an Expectation.

    `plain` matches choices, answers and intents of words alone; `framed` intents whose
    patterns mention slots; `slot_only` lists intents that are meant by their slots alone, and
    `mentioned_by` the intents whose patterns mention a slot.
    """

    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        self.slots = {slot.name: slot for slot in expectation.slots[:MAX_SLOTS]}
        self.bits = {name: 2 << i for i, name in enumerate(self.slots)}
        self.focus = self.slots.get(expectation.focus or "")
        self.answers = frozenset(
            name
            for name, slot in self.slots.items()
            if slot.type is SlotType.YES_NO and (slot is self.focus or name == CONFIRM_SLOT)
        )
        self.counted = frozenset(name for name, slot in self.slots.items() if slot.type in _COUNTED)
        self.links = SPANISH_LINKS if is_spanish(expectation.language) else ENGLISH_LINKS
        kinds = [slot.type for slot in self.slots.values()]
        self.ranged = frozenset(
            name
            for name, slot in self.slots.items()
            if slot.type in _RANGED and kinds.count(slot.type) == 1  # else from one to the other
        )
        self.strings = frozenset(name for name, slot in self.slots.items() if slot.type in _STRINGS)
        self.slot_only: list[tuple[str, frozenset[str]]] = []
        self.mentioned_by: dict[str, set[str]] = {name: set() for name in self.slots}
        plain: Trie[Meaning] = Trie()
        framed: Trie[Meaning] = Trie()
        for slot in self.slots.values():
            if slot.type is SlotType.YES_NO and slot.name not in self.answers:
                continue
            for value, phrases in _values(slot, expectation.language):
                for phrase in phrases:
                    for words in expand_leniently(phrase):
                        plain.add(words, Meaning(slot=slot.name, value=value))
        for intent in expectation.intents:
            self._add_intent(intent, plain, framed, is_universal=False)
        for intent in expectation.universals:
            self._add_intent(intent, plain, framed, is_universal=True)
        self.lexicon = Lexicon(dict.fromkeys([*plain.words(), *framed.words()]))
        self.plain = PhraseMatcher(plain, self.lexicon)
        self.framed = PhraseMatcher(framed, self.lexicon) if framed.root.children else None

    def tokens(self, text: str) -> tuple[Token, ...]:
        """The tokens of what was heard, in the language that is waited for."""
        if not is_spanish(self.expectation.language):
            return tokenize(text)
        is_spelled = self.focus is not None and self.focus.type is SlotType.LETTERS
        return tokenize_spanish(text, spelling=is_spelled)

    def _add_intent(
        self, intent: IntentSpec, plain: Trie[Meaning], framed: Trie[Meaning], *, is_universal: bool
    ) -> None:
        meaning = Meaning(intent=intent.name, is_universal=is_universal)
        for phrase in intent.phrases:
            for words in expand_leniently(phrase):
                names = [w[1:-1] for w in words if w.startswith("{")]
                if not names:
                    plain.add(words, meaning)
                    continue
                if any(name not in self.slots for name in names):
                    continue
                for name in names:
                    self.mentioned_by[name].add(intent.name)
                if len(names) == len(words):
                    self.slot_only.append((intent.name, frozenset(names)))
                else:
                    framed.add(words, meaning)


def _values(slot: SlotSpec, language: str) -> list[tuple[str, tuple[str, ...]]]:
    """(value, phrases) of a slot that is filled by phrases."""
    if slot.type is SlotType.YES_NO:
        yes, no, unsure = answers(language)
        if slot.name == CONFIRM_SLOT:
            yes = (*yes, *completing(language))
        else:
            no = (*no, *declining(language))
        return [("yes", yes), ("no", no), (NEITHER, unsure)]
    if slot.type is not SlotType.CHOICE:
        return []
    short = names.short_forms(choice.value for choice in slot.choices)
    return [
        (c.value, (*c.phrases, *_as_phrase(c.value), *short.get(c.value, ()))) for c in slot.choices
    ]


def _as_phrase(value: str) -> tuple[str, ...]:
    """A choice's value is a phrase too: "twelve_ounce" is meant by "twelve ounce"."""
    words = " ".join(w for token in tokenize(value.replace("_", " ")) for w in token.words)
    return (words,) if words else ()


@lru_cache(maxsize=256)
def _compile_cached(expectation: Expectation) -> CompiledExpectation:
    return CompiledExpectation(expectation)


def compile_expectation(expectation: Expectation) -> CompiledExpectation:
    """The compiled form, from a bounded cache where the Expectation can be hashed."""
    try:
        return _compile_cached(expectation)
    except TypeError:  # built with lists instead of tuples
        return CompiledExpectation(expectation)
