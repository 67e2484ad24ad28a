"""How far a partial text satisfies an Expectation; drives the endpointer."""

from __future__ import annotations

from datetime import date, time

from voicebot.events import Completeness, Expectation, SlotSpec, SlotType
from voicebot.nlu import digits, letters
from voicebot.nlu.compiled import CompiledExpectation, compile_expectation
from voicebot.nlu.grammar import Node
from voicebot.nlu.matcher import Meaning
from voicebot.nlu.moment import Moment
from voicebot.nlu.month_days import DAYS, MONTHS
from voicebot.nlu.numbers import TEENS, UNITS
from voicebot.nlu.text import Token
from voicebot.nlu.understanding import Understanding, understand, unexplained
from voicebot.nlu.words import word_set

ANY_DAY = Moment(date(2024, 1, 1), time(9))
"""Whether a date or a time was said does not depend on the day."""
_DANGLING = word_set(
    "and or but with to from of for at in on a an the my some is it's i i'd i'll i'm would "
    "like want can could get give make not so uh um er because then plus into "
    "y o pero con de del para por en el la los las un una mi quiero quisiera eh este"
)
_MONEY = word_set("dollar dollars buck bucks cent cents pound pounds euro euros")
_CLOCK = word_set("am pm noon midnight o'clock morning afternoon evening night tonight")
_DAY_WORDS = frozenset((*DAYS, *MONTHS)) | word_set(
    "today tomorrow yesterday day days week weeks month months now ago"
)


def completeness(text: str, expectation: Expectation) -> Completeness:
    """COMPLETE when the focus is satisfied and nothing likely follows, EXTENDABLE when the text
    matches, or begins, something expected, NONE otherwise. Never raises."""
    compiled = compile_expectation(expectation)
    understood = understand(text, compiled, ANY_DAY)
    if not understood.tokens:
        return Completeness.NONE
    if not understood.segmentations:
        is_begun = (
            _begins_phrase(understood, compiled)
            or _is_partial_value(understood, compiled)
            or (compiled.focus is not None and compiled.focus.type is SlotType.TEXT)
        )
        return Completeness.EXTENDABLE if is_begun else Completeness.NONE
    is_complete = _is_complete(understood, compiled)
    if is_complete and _is_bare_answer(understood, compiled):
        return Completeness.COMPLETE
    if _is_dangling(understood) or _begins_phrase(understood, compiled):
        return Completeness.EXTENDABLE
    return Completeness.COMPLETE if is_complete else Completeness.EXTENDABLE


def _is_complete(understood: Understanding, compiled: CompiledExpectation) -> bool:
    parts = understood.segmentations[0].candidates
    fills = {f.slot: f for c in parts if not c.is_denied for f in c.fills}
    has_rest = bool(unexplained(understood.heard, parts))
    if any(c.is_universal for c in parts):
        return not has_rest
    open_slots = [s for s in compiled.slots if s not in fills]
    focus = compiled.focus
    if focus is None:
        return not open_slots and not has_rest
    fill = fills.get(focus.name)
    if fill is None:
        return False
    if focus.type is SlotType.YES_NO:
        return not has_rest
    if focus.type in {SlotType.DIGITS, SlotType.LETTERS, SlotType.PHONE}:
        return _is_full(focus, fill.value)
    if open_slots or focus.type is SlotType.TEXT:
        return False
    tokens = understood.tokens_of(fill.start, fill.end)
    return bool(tokens) and _is_closed(focus, tokens)


def _is_full(slot: SlotSpec, value: str) -> bool:
    if slot.max_length is not None:
        return len(value) >= slot.max_length
    # North American numbers: ten digits, or eleven with the country code.
    return slot.type is SlotType.PHONE and len(value) == (11 if value.startswith("1") else 10)


def _is_closed(slot: SlotSpec, tokens: tuple[Token, ...]) -> bool:
    """True when a value, as said, is not waiting for its second half."""
    last, texts = tokens[-1], {token.text for token in tokens}
    match slot.type:
        case SlotType.AMOUNT:
            return last.text in _MONEY or last.kind in {"money", "cents"} or "." in last.text
        case SlotType.NUMBER:
            return last.text in UNITS or last.text in TEENS or last.kind == "number"
        case SlotType.DATE:
            return last.kind == "date" or bool(texts & _DAY_WORDS)
        case SlotType.TIME:
            return bool(texts & _CLOCK) or last.kind == "time" or len(tokens) > 1
        case _:
            return True


def _is_bare_answer(understood: Understanding, compiled: CompiledExpectation) -> bool:
    """True for "no" alone, which begins "no problem" too: who means that says it within the
    patience for yes and no."""
    words, focus = understood.heard.words, compiled.focus
    is_word = len(words) == 1 and words[0] not in _DANGLING
    return is_word and focus is not None and focus.type is SlotType.YES_NO


def _is_dangling(understood: Understanding) -> bool:
    """True when the last word calls for another and belongs to nothing understood."""
    heard = understood.heard
    return heard.words[-1] in _DANGLING and not any(
        c.end == len(heard.sounds) for c in understood.segmentations[0].candidates
    )


def _is_partial_value(understood: Understanding, compiled: CompiledExpectation) -> bool:
    """True for digits or letters too few for the slot that was asked for."""
    focus = compiled.focus
    if focus is None:
        return False
    if focus.type in {SlotType.DIGITS, SlotType.PHONE}:
        return understood.tokens[-1].text in digits.REPEATS or any(
            len(run.readings[0]) < (focus.max_length or digits.MAX_DIGITS)
            for run in digits.digit_runs(understood.tokens, lenient=True)
        )
    return focus.type is SlotType.LETTERS and any(
        len(span.value) < (focus.max_length or digits.MAX_DIGITS)
        for span, _ in letters.letter_runs(understood.tokens)
    )


def _begins_phrase(understood: Understanding, compiled: CompiledExpectation) -> bool:
    """True when the last words, exactly, begin a phrase that means something else as a whole."""
    words, starts = understood.heard.words, understood.heard.starts
    parts = understood.segmentations[0].candidates if understood.segmentations else ()
    for back in range(1, min(len(words), 8) + 1):
        if any(c.start < starts[-1 - back] < c.end for c in parts):
            continue  # inside a phrase that was understood as a whole
        node = compiled.plain.trie.find(words[-back:])
        if node is not None and node.children and _may_change(node):
            return True
    return False


def _may_change(node: Node[Meaning]) -> bool:
    if not node.meanings:
        return True
    below = list(node.children.values())
    while below:
        child = below.pop()
        if any(meaning not in node.meanings for meaning in child.meanings):
            return True
        below.extend(child.children.values())
    return False
