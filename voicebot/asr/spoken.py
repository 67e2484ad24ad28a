"""How people say what slots hold, in normal form (see written): digits, letters, dates, money.

Each list gives phrases with the units they count for, for one loop of an automaton.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from voicebot.asr.written import BREAK, ONES, ORDINALS, TENS, figure, plain, word_list
from voicebot.events import SlotType

Counted = tuple[str, int]

_ZEROS = ("zero", "oh", "o", "nought", "naught")
_REPEATS = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
FILLERS = word_list(
    "uh um er erm well so okay ok yes yeah sure please thanks and then uh_huh let_me_see "
    "just_a_second thank_you sorry hi hello"
)
CARRIERS = word_list(
    "its it_is it_was thats that_is this_is the here_is here_it_is i_think i_want id_like "
    "i_would_like i_said my mine is the_number_is my_number_is my_phone_number_is "
    "my_account_number_is the_account_number_is my_pin_is the_code_is my_code_is number digits"
)
_SPELLING = word_list(
    "thats_spelled its_spelled spelled spelt my_name_is my_last_name_is my_first_name_is capital "
    "letter the_letter new_word space dash hyphen apostrophe"
)
LETTER_NAMES = {
    "b": "bee", "c": "cee see", "d": "dee", "e": "ee", "f": "eff ef", "g": "gee", "h": "aitch",
    "i": "eye", "j": "jay", "k": "kay", "l": "el ell", "m": "em", "n": "en", "o": "oh",
    "p": "pee", "q": "cue queue", "r": "ar are", "s": "ess", "t": "tee", "u": "you",
    "v": "vee", "w": "double_u double_you", "x": "ex", "y": "why", "z": "zee zed",
}  # fmt: skip
ALPHABET = word_list(
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar "
    "papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu"
)
_EXAMPLES = word_list(
    "apple adam able alice boy baker bob bravo cat charlie david dog easy edward echo elephant "
    "frank fox fred father george girl good henry house harry hotel ida ice igloo india john jack "
    "james king kate love larry lion lima mary mike mother mom nancy november no nora orange ocean "
    "oscar paul peter papa queen quebec robert roger red romeo sam sugar sierra summer tom tango "
    "thomas union uncle umbrella victor victory vegas violet william water whiskey winter xray "
    "xylophone yellow young yankee yes zebra zulu zoo"
)
_MONTHS = word_list(
    "january february march april may june july august september october november december jan "
    "feb mar apr jun jul aug sep sept oct nov dec"
)
_DAYS = word_list(
    "monday tuesday wednesday thursday friday saturday sunday today tonight tomorrow yesterday "
    "day_after_tomorrow next this last week weeks month months year days day in a from now of the "
    "on coming end"
)
_CLOCK = word_list(
    "am pm a_m p_m oclock half quarter past to after before noon midday midnight morning "
    "afternoon evening night at in the tonight oh minutes hours hour about around"
)
_MONEY = word_list(
    "dollar dollars cent cents buck bucks pound pounds euro euros pence and a half point "
    "quarter usd"
)
_SCALES = ("hundred", "thousand", "million", "billion", "grand")


def digits() -> Iterator[Counted]:
    """Single digits, "double four", "twenty-two", "four hundred", "two thousand"; FILLERS."""
    for number, names in enumerate([_ZEROS, *((word,) for word in ONES[1:10])]):
        for name in (str(number), *names):
            yield name, 1
            for repeat, times in _REPEATS.items():
                yield f"{repeat}{BREAK}{name}", times
    for number in range(10, 100):
        yield figure(number), 2
    for number in range(1, 100):
        yield f"{figure(number)}{BREAK}hundred", 3 if number < 10 else 4
        if number < 10:
            yield f"{figure(number)}{BREAK}thousand", 4
    for filler in (*FILLERS, *CARRIERS, "dash", "hyphen", "space"):
        yield filler, 0


def letters() -> Iterator[Counted]:
    """Letters, their names, the alphabet's words, "b as in boy", "double l"; FILLERS."""
    by_initial: dict[str, list[str]] = {}
    for word in {*ALPHABET, *_EXAMPLES}:
        by_initial.setdefault(word[0], []).append(word)
    for letter in map(chr, range(ord("a"), ord("z") + 1)):
        for name in (letter, *LETTER_NAMES.get(letter, "").split()):
            yield name, 1
            for linked in ("as_in", "for", "like", "like_in", "is_in"):
                for word in by_initial.get(letter, []):
                    yield f"{name}{BREAK}{linked}{BREAK}{word}", 1
        yield f"double{BREAK}{letter}", 2
    for word in ALPHABET:
        yield word, 1
    for filler in (*FILLERS, *CARRIERS, *_SPELLING):
        yield filler, 0


def _cardinals() -> Iterator[str]:
    for number in range(100):
        yield figure(number)
        yield str(number)
    yield from _SCALES
    yield from ("oh", "o", "and", "a", "minus", "a_hundred", "a_thousand", "point")
    yield from (f"{digit}00" for digit in range(1, 10))
    yield "000"


def _ordinals() -> Iterator[str]:
    yield from ORDINALS
    yield "thirtieth"
    for tens in TENS[:2]:
        yield from (f"{tens}{BREAK}{unit}" for unit in ORDINALS[:9])
    for number in range(1, 32):
        end = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number // 10 != 1 else 0, "th")
        yield f"{number}{end}"


def _years() -> Iterator[str]:
    yield from (str(year) for year in range(1900, 2060))


def words_of(kind: SlotType) -> Iterator[Counted]:
    """The words of numbers, amounts, dates and times, in any order; FILLERS."""
    yield from ((word, 1) for word in _cardinals())
    extra: tuple[str, ...] = ()
    if kind is SlotType.AMOUNT:
        extra = tuple(_MONEY)
    elif kind is SlotType.DATE:
        extra = (*_MONTHS, *_DAYS, *_ordinals(), *_years())
    elif kind is SlotType.TIME:
        extra = tuple(_CLOCK)
    yield from ((plain(word), 1) for word in extra)
    yield from ((filler, 0) for filler in (*FILLERS, *CARRIERS))


@cache
def phrases_of(kind: SlotType) -> tuple[Counted, ...]:
    """Of a slot that no list of phrases fills; empty where anything may be said."""
    if kind in {SlotType.DIGITS, SlotType.PHONE}:
        return tuple(digits())
    if kind is SlotType.LETTERS:
        return tuple(letters())
    if kind in {SlotType.NUMBER, SlotType.AMOUNT, SlotType.DATE, SlotType.TIME}:
        return tuple(words_of(kind))
    return ()
