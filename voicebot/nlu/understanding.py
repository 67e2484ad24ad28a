"""All ways to read one text against a compiled Expectation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from voicebot.events import CONFIRM_SLOT, SlotType
from voicebot.nlu import context, small_talk, values
from voicebot.nlu.compiled import CompiledExpectation
from voicebot.nlu.matcher import FILLERS, Candidate, Fill, by_word
from voicebot.nlu.moment import Moment
from voicebot.nlu.polarity import settled
from voicebot.nlu.segmenter import (
    ALONE,
    IN_CONTEXT,
    Segmentation,
    Terms,
    gain_of,
    segment,
)
from voicebot.nlu.similarity import STOP_WORDS, Heard
from voicebot.nlu.text import Token
from voicebot.nlu.undecided import without_alternatives
from voicebot.nlu.words import word_set

FOCUS = 0.4
"""Gain for filling the slot that was asked for."""
IDLE = 0.98
"""Weight of what means nothing: of two exact readings the other one counts."""
LATER = 1e-4
"""Gain per sound of lateness: of equals, the last word counts."""
LEAST_ANSWER = 0.85
"""The same for yes and no: "I can't find" resembles "confirm", "be quiet" "agreed"."""
UNSURE_ANSWER = 0.3
"""Price of each other word beside a yes or no that was not said exactly: they are so short that
something always resembles them."""
UNIVERSAL_REST = 0.3
"""Price of each other telling word beside a universal: "help" in a long sentence is no cry."""
LEAST_UNIVERSAL = 0.85
"""How well one must match that was not said exactly; something short always resembles "repeat"."""
_OPENINGS = word_set("yes yeah yep no nope sure and but actually of course i think that si pues")
"""Words that an answer such as "I do" or "it is" may follow."""
_ENDINGS = word_set("thanks thank sir ma'am really anymore more any think know today now yet")
"""Words behind which "I don't" is an answer still."""
OPERATOR = "operator"
"""Whoever ends by asking for a person wants one, whatever came before: a number broken off."""
MAX_READINGS = 15
CROWD, FEW = 0.2, 3
"""Added to the price of a guess for each telling word beyond a few that was not understood."""
SOLID_COST, SOLID_WEIGHT = 0.15, 2.5
"""A candidate this close and this long shows that the caller is answering."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """One text and the ways to read it, best first."""

    text: str
    tokens: tuple[Token, ...]
    heard: Heard
    segmentations: tuple[Segmentation, ...]

    @property
    def gain(self) -> float:
        return self.segmentations[0].gain if self.segmentations else 0.0

    def words_of(self, start: int, end: int) -> str:
        """The written words behind a span of sounds."""
        return " ".join(token.raw for token in self.tokens_of(start, end))

    def tokens_of(self, start: int, end: int) -> tuple[Token, ...]:
        """The tokens behind a span of sounds."""
        if end <= start:
            return ()
        first, last = (self.heard.token_of[self.heard.word_at[at]] for at in (start, end - 1))
        return self.tokens[first : last + 1]

    @property
    def is_explained(self) -> bool:
        """True when every telling word was understood exactly."""
        if not self.segmentations:
            return False
        parts = self.segmentations[0].candidates
        return all(c.cost == 0 for c in parts) and not unexplained(self.heard, parts)


def understand(text: str, compiled: CompiledExpectation, moment: Moment) -> Understanding:
    """All readings of one text."""
    tokens = compiled.tokens(text)
    spoken = [(word, i) for i, token in enumerate(tokens) for word in token.words]
    heard = Heard([word for word, _ in spoken], [i for _, i in spoken])
    if not heard.sounds:
        return Understanding(text, tokens, heard, ())
    hits = by_word(compiled.lexicon.hits(heard))
    found = compiled.plain.match(heard, hits)
    ordinary = [c for c in found if not c.is_universal]
    for slot in compiled.slots.values():
        is_focus = slot is compiled.focus
        ordinary += values.candidates(slot, tokens, heard, moment, is_focus=is_focus)
    ordinary = _in_context(ordinary, compiled, heard, tokens)
    ordinary += _idle(heard, compiled.expectation.language)
    universals = [c for c in found if c.is_universal]
    if compiled.framed is not None:
        framed = compiled.framed.match(heard, hits, _by_slot(ordinary, compiled, heard))
        ordinary += [c for c in framed if not c.is_universal]
        universals += [c for c in framed if c.is_universal]
    readings = _readings(ordinary, universals, compiled, heard)
    return Understanding(text, tokens, heard, tuple(readings))


def _idle(heard: Heard, language: str) -> list[Candidate]:
    """What explains its words by meaning nothing."""
    places = (
        (heard.starts[first], heard.starts[last])
        for first, last in small_talk.spans(heard.words, language)
    )
    return [Candidate(start, end, IDLE * heard.weight(start, end), 0.0) for start, end in places]


def _in_context(
    candidates: Sequence[Candidate],
    compiled: CompiledExpectation,
    heard: Heard,
    tokens: Sequence[Token],
) -> list[Candidate]:
    """Candidates with denials and corrections marked, and strangers to their cue dropped."""
    pauses = {i for i, token in enumerate(tokens) if token.breaks_after}
    out: list[Candidate] = []
    rivals: dict[tuple[int, int, str], set[str]] = {}
    at_place: dict[tuple[int, int], set[str]] = {}
    of_slot: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        for fill in candidate.fills:
            rivals.setdefault((fill.start, fill.end, fill.value), set()).add(fill.slot)
            at_place.setdefault((fill.start, fill.end), set()).add(fill.slot)
            of_slot.setdefault(fill.slot, []).append(candidate)
    is_read_back = compiled.focus is not None and compiled.focus.name == CONFIRM_SLOT
    for candidate in candidates:
        if not candidate.fills:
            out.append(candidate)
            continue
        first = heard.words[heard.word_at[candidate.start]]
        if is_read_back and candidate.cost > 0 and first in context.REMOVALS:
            continue  # "skip the milk" is no skim milk
        fill = candidate.fills[0]
        slot, same = fill.slot, rivals[fill.start, fill.end, fill.value]
        if len(same) > 1:
            cued = context.cues(heard, candidate, same)
            if cued and slot not in cued:
                continue
        if slot in compiled.counted and (others := at_place[fill.start, fill.end] - {slot}):
            named = context.named_behind(heard, candidate, {slot, *others})
            if named and slot not in named:
                continue
        kind = compiled.slots[slot].type
        denied = kind is not SlotType.YES_NO and context.is_denied(
            heard,
            candidate,
            # "No sixty" answers and corrects: no amount or day is gone without. "No milk" denies.
            no_is_answer=bool(compiled.answers) and kind is not SlotType.CHOICE,
            pauses=pauses,
            rivals=of_slot[slot],
            is_read_back=is_read_back,
        )
        if not denied:
            out.append(candidate)
        elif candidate.quality >= context.SURE:  # a guess is no denial
            out.append(replace(candidate, is_denied=True))
    out = context.without_parts_of_denied(out)
    out = without_alternatives(
        heard, out, compiled.links, compiled.answers, compiled.ranged, pauses
    )
    out = context.corrected(heard, out, compiled.answers, compiled.strings)
    return settled(heard, out, compiled.answers)


def _by_slot(
    candidates: Sequence[Candidate], compiled: CompiledExpectation, heard: Heard
) -> dict[str, list[Candidate]]:
    grouped: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        if len(candidate.fills) == 1 and not candidate.is_denied:
            grouped.setdefault(candidate.fills[0].slot, []).append(candidate)
    for slot in compiled.slots.values():
        if slot.type is SlotType.TEXT:
            end = len(heard.sounds)
            grouped[slot.name] = [
                Candidate(start, end, 0.5, 0.0, (Fill(slot.name, "", start, end, 1.0),))
                for start in heard.starts
                if start < end
            ]
    return grouped


def _readings(
    ordinary: Sequence[Candidate],
    universals: Sequence[Candidate],
    compiled: CompiledExpectation,
    heard: Heard,
) -> list[Segmentation]:
    """Ways to read the candidates; a universal is a reading of its own."""
    terms = _terms(ordinary, compiled, heard)
    readings = segment(_with_gains(ordinary, compiled, heard, terms), compiled.bits)
    readings = [r for r in readings if r.candidates]
    for candidate in universals:
        rest = len(unexplained(heard, (candidate,)))
        if candidate.cost > 0 and (rest or candidate.quality < LEAST_UNIVERSAL):
            continue
        gain = gain_of(candidate) - UNIVERSAL_REST * rest
        if candidate.intent == OPERATOR and _is_last_word(candidate, heard):
            others = (reading.gain + LATER for reading in readings)
            gain = max([gain_of(candidate), *others])
        if gain > 0:
            readings.append(Segmentation((candidate,), gain))
    return sorted(readings, key=lambda r: -r.gain)[:MAX_READINGS]


def _is_last_word(candidate: Candidate, heard: Heard) -> bool:
    """Whether it was said in so many words, at the end: "two hundred and, oh, operator please"."""
    behind = [word for i, word in enumerate(heard.words) if heard.starts[i] >= candidate.end]
    return candidate.cost == 0 and all(word in STOP_WORDS or word in FILLERS for word in behind)


def _terms(candidates: Sequence[Candidate], compiled: CompiledExpectation, heard: Heard) -> Terms:
    """How readily to guess: readily beside what was said exactly, hardly in a long sentence about
    something else, where chance finds resemblances."""
    close = [c for c in candidates if c.cost <= SOLID_COST]
    said = segment(_with_gains(close, compiled, heard, ALONE), compiled.bits)[0].candidates
    rest = len(unexplained(heard, said))
    is_answering = any(c.weight >= SOLID_WEIGHT and (c.fills or c.intent) for c in said)
    terms = IN_CONTEXT if is_answering else ALONE
    return Terms(terms.gain, terms.guess + CROWD * max(0, rest - FEW))


def _with_gains(
    candidates: Sequence[Candidate], compiled: CompiledExpectation, heard: Heard, terms: Terms
) -> list[tuple[Candidate, float]]:
    focus = compiled.focus.name if compiled.focus else None
    out = []
    for candidate in candidates:
        gain = gain_of(candidate, terms) + LATER * candidate.start
        if _is_no_answer(candidate, compiled, heard):
            continue
        if candidate.cost > 0 and any(fill.slot in compiled.answers for fill in candidate.fills):
            if candidate.quality < LEAST_ANSWER:
                continue
            beside = sum(not candidate.start <= at < candidate.end for at in heard.starts[:-1])
            gain -= UNSURE_ANSWER * beside
        if any(fill.slot == focus for fill in candidate.fills):
            gain += FOCUS * candidate.quality
        if candidate.intent is not None and candidate.fills:
            gain += context.CUE
        out.append((candidate, gain))
    return out


def _is_no_answer(candidate: Candidate, compiled: CompiledExpectation, heard: Heard) -> bool:
    """Whether it is a yes or no of everyday words within a sentence: "can I do that later", "I
    don't give that out"; or one that was not quite said, and more behind it."""
    if not any(fill.slot in compiled.answers for fill in candidate.fills):
        return False
    first, last = heard.word_at[candidate.start], heard.word_at[candidate.end - 1]
    words = heard.words[first : last + 1]
    before = [word for word in heard.words[:first] if word not in FILLERS]
    if all(word in STOP_WORDS for word in words) and not _OPENINGS.issuperset(before):
        return True
    behind = set(heard.words[last + 1 :]) - STOP_WORDS - FILLERS - _OPENINGS - _ENDINGS
    is_open = words[-1].endswith("n't") or words[-2:] in (("do", "not"), ("i", "do"), ("i", "am"))
    is_all = words[-1] in {"all", "everything", "todo"}  # "that's all wrong"
    if is_all and candidate.cost > 0:
        return True  # "not everything"
    return (is_open or is_all or candidate.cost > 0) and bool(behind)


def unexplained(heard: Heard, parts: Sequence[Candidate]) -> list[str]:
    """Telling words that no candidate covers."""
    return [
        word
        for i, word in enumerate(heard.words)
        if word not in STOP_WORDS
        and word not in FILLERS
        and not any(c.start <= heard.starts[i] < c.end for c in parts)
    ]
