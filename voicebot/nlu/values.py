"""Candidates for slots that no phrase list can hold, out of the entity readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voicebot.events import SlotSpec, SlotType
from voicebot.nlu import dates, digits, entities, letters, times
from voicebot.nlu.entities import Span
from voicebot.nlu.letters import LETTER_OF
from voicebot.nlu.matcher import Candidate, Fill
from voicebot.nlu.moment import Moment
from voicebot.nlu.similarity import Heard
from voicebot.nlu.text import Token
from voicebot.nlu.words import word_set

BARE = 0.85
"""Quality of a value that would fit other slots as well, where it was not asked for."""


_HESITATIONS = word_set("uh uhm um umm er erm eh em mm mmm hmm hm ehm")
"""Said within values ("two hundred, uh, and fifty") as anywhere else; no values themselves."""


def spans(
    slot: SlotSpec, tokens: Sequence[Token], moment: Moment, *, is_focus: bool
) -> Iterator[Span]:
    """Every value of the slot's type that fits its length, wherever it was said."""
    shortest, longest = slot.min_length, slot.max_length
    match slot.type:
        case SlotType.DIGITS:
            for run in digits.digit_runs(tokens, lenient=is_focus):
                if [t.text for t in tokens[max(0, run.start - 3) : run.start - 1]] == ["as", "in"]:
                    continue  # "o as in oscar one": letters, of which these are a part
                value = digits.fitting(run, shortest, longest, has_check=slot.check == "luhn")
                if value is not None:
                    yield Span(run.start, run.end, value, is_bare=True)
        case SlotType.NUMBER:
            yield from entities.numbers(tokens)
        case SlotType.AMOUNT:
            yield from entities.amounts(tokens)
        case SlotType.DATE:
            yield from dates.dates(
                tokens, moment.today, is_focus=is_focus, day_first=moment.day_first
            )
        case SlotType.TIME:
            yield from times.times(tokens, moment.now)
        case SlotType.PHONE:
            yield from digits.phones(tokens, shortest, longest)
        case SlotType.LETTERS:
            for span, is_sure in letters.letter_runs(tokens):
                fits = (shortest or 1) <= len(span.value) <= (longest or letters.MAX_LETTERS)
                fits = fits and span.value.isascii()  # the slot cannot hold an Ñ
                if fits and (is_focus or (is_sure and len(span.value) > 1)):
                    yield Span(span.start, span.end, span.value, is_bare=not is_sure)
        case SlotType.CHOICE if is_focus:
            for index, start, end in entities.places(tokens, len(slot.choices)):
                yield Span(start, end, slot.choices[index].value)
            yield from _spoken_keys(slot, tokens)
        case _:
            return


def _spoken_keys(slot: SlotSpec, tokens: Sequence[Token]) -> Iterator[Span]:
    """ "press two", "two" alone: a choice named by its key."""
    keys = {choice.dtmf: choice.value for choice in slot.choices if choice.dtmf}
    if not keys:
        return
    for run in digits.digit_runs(tokens):
        before = tokens[run.start - 1].text if run.start else ""
        is_named = before in {"press", "option", "number", "key", "dial"}
        if is_named or run.end - run.start == len(tokens):
            value = keys.get(run.readings[0])
            if value is not None:
                yield Span(run.start - is_named, run.end, value)


def candidates(
    slot: SlotSpec, tokens: Sequence[Token], heard: Heard, moment: Moment, *, is_focus: bool
) -> Iterator[Candidate]:
    """The spans as candidates; idle numbers only where a number was asked for."""
    first_word: dict[int, int] = {}
    last_word: dict[int, int] = {}
    for word, token in enumerate(heard.token_of):
        first_word.setdefault(token, word)
        last_word[token] = word
    idle = _HESITATIONS - LETTER_OF.keys() if slot.type is SlotType.LETTERS else _HESITATIONS
    places = [i for i, token in enumerate(tokens) if token.text not in idle]
    fluent = [tokens[i] for i in places]
    for span in spans(slot, fluent, moment, is_focus=is_focus):
        if span.is_bare and not is_focus and entities.is_idle_number(fluent, span):
            continue
        start = heard.starts[first_word[places[span.start]]]
        end = heard.starts[last_word[places[span.end - 1]] + 1]
        if end <= start:
            continue
        weight = max(heard.weight(start, end), 1.0)
        quality = BARE if span.is_bare and not is_focus else 1.0
        fill = Fill(slot.name, span.value, start, end, quality)
        yield Candidate(start, end, weight, (1 - quality) * weight, (fill,))
