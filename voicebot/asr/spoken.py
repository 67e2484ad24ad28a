"""How people say what slots hold, in normal form (see written): digits, letters, dates, money.

Each list gives phrases with the units they count for, for one loop of an automaton. What
understanding makes a value of should be here (tests/test_spoken_and_understood.py): a phrase that
is missing pays as if it were about something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from voicebot.asr.lexicon import AFRESH
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
    "my_account_number_is the_account_number_is my_pin_is the_code_is my_code_is number digits "
    "it_would_be that_would_be it_will_be lets_say lets_make_it make_it how_about what_about"
)
_TAKEN_BACK = word_list(
    "no_sorry sorry_no no_wait wait_no no_its no_thats no_i_mean no_i_said i_mean i_meant i_said "
    "make_that no_make_that scratch_that correction no_no"
)
"""What was said before them does not count."""
_NUMBERED = word_list(
    "dash hyphen space point dot it_ends_in ends_in ending_in ends_with the_last_four_are plus "
    "area_code the_area_code_is country_code you_can_reach_me_at call_me_at my_cell_is my_phone_is "
    "my_number my_account_is the_account_is my_card_is the_card_number_is my_zip_code_is zip_code"
)
_SPELLING = word_list(
    "thats_spelled its_spelled spelled spelt my_name_is my_last_name_is my_first_name_is capital "
    "letter the_letter new_word space dash hyphen apostrophe"
)
LETTER_NAMES = {
    "a": "ay", "b": "bee", "c": "cee see", "d": "dee", "e": "ee", "f": "eff ef",
    "g": "gee", "h": "aitch haitch",
    "i": "eye", "j": "jay", "k": "kay", "l": "el ell", "m": "em", "n": "en", "o": "oh",
    "p": "pee", "q": "cue queue", "r": "ar are", "s": "ess es", "t": "tee", "u": "you",
    "v": "vee", "w": "double_u double_you doubleyou", "x": "ex", "y": "why wye", "z": "zee zed",
}  # fmt: skip
ALPHABET = word_list(
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar "
    "papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu alfa juliett whisky "
    "x_ray"
)
_EXAMPLES = word_list(
    "adam able alice amy andrew anna apple arthur august baby baker banana ball bear ben bill bird "
    "boat bob book boston box boy bread brian brother brown car carl carol castle cat charles "
    "chicago chris coffee cup daisy dallas dan daniel dave david denver diana dog dollar donald "
    "donna door duck eagle easy ed eddie edward egg eight elephant elizabeth emily emma eric ethan "
    "europe eve father fish five florida flower four fox france frank fred friday friend game "
    "garden gary george girl gold good grace grand grant grape green greg hand happy harold harry "
    "hat heart heather helen henry home honey horse hotel house howard ice ida idaho igloo indigo "
    "ink ireland irene isaac island italy ivan ivy jack jacob james jane january japan jason jeff "
    "jelly jenny jerry jim jimmy joe john johnny jones joseph judy julia july june jump kansas "
    "karen kate kathy keith ken kenny kevin kid king kitchen kite kitten knife lamp larry laura "
    "lemon leo leon lion lisa little london louis love lucy luke madrid man maria mark martha "
    "martin mary matt matthew max may mexico michael monday money monkey moon mother mom mouse "
    "music name nancy nathan ned nelly new nice nick nine nose nothing nora norway number nut nuts "
    "ocean october ohio old oliver olive olivia one onion open orange owl oxford pam paper paris "
    "park pat patrick paul people peru peter phil philip phone pig pizza quarter quality queen "
    "question quick quiet quincy quit rabbit rachel radio rain ralph ray red richard river robert "
    "robin roger ron rose russell ruth sally sam samuel sandra sarah saturday sea seven silver six "
    "simon smith snake spain stephen steve steven sue sugar sum summer sun sunday susan table tea "
    "ted ten terry texas thomas tiger tim time tina toby tom tommy tony top town train tree two "
    "umbrella uncle under union unit united university up upper ursula van vanessa vegas vehicle "
    "vera very vic vicky victoria victory video village vincent violet violin virginia wallace "
    "walter water wayne wednesday west wilson will william willy window winter wolf woman wood "
    "world xavier xerox xylophone yacht yard year yellow yes yesterday yogurt york young yoyo zach "
    "zack zebra zed zero zoe zone zoo"
)
_MONTHS = word_list(
    "january february march april may june july august september october november december jan "
    "feb mar apr jun jul aug sep sept oct nov dec"
)
_DAYS = word_list(
    "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays "
    "thursdays fridays saturdays sundays today tonight tomorrow yesterday day_after_tomorrow "
    "day_before_yesterday overmorrow next this last week weeks weekend fortnight fortnights month "
    "months year years day days in a an from now of the on coming end ago after before couple "
    "couple_of morning afternoon evening night noon at oclock am pm"
)
_HOLIDAYS = word_list(
    "christmas christmas_eve christmas_day new_years new_years_eve new_years_day valentines "
    "valentines_day independence_day halloween veterans_day martin_luther_king_day mothers_day "
    "memorial_day fathers_day labor_day thanksgiving thanksgiving_day easter easter_monday "
    "boxing_day presidents_day columbus_day"
)
_DATED = word_list(
    "my_birthday_is birthday my_date_of_birth_is date_of_birth born i_was_born i_was_born_on "
    "its_on can_we_make_it could_we_do maybe"
)
_CLOCK = word_list(
    "am pm a_m p_m oclock half quarter past to after before till of noon midday midnight morning "
    "afternoon evening night at in the tonight oh minutes minute hours hour about around between "
    "and sharp exactly ish now right_now from_now an early late later than by until hundred_hours "
    "tomorrow today"
)
_MONEY = word_list(
    "dollar dollars cent cents penny pennies buck bucks quid pound pounds euro euros pence and a "
    "half a_half point quarter three_quarters usd of couple couple_of dozen k change about around "
    "exactly only just"
)
_COUNTED = word_list(
    "half a_half quarter dozen couple couple_of pair pair_of of_us of_them people persons times "
    "negative about around only just"
)
_SCALES = ("hundred", "thousand", "million", "billion", "grand")


def digits() -> Iterator[Counted]:
    """Single digits, "double four", "twenty-two", "four hundred ten", "two thousand"; FILLERS."""
    nines = (ONES[9], "niner")
    for number, names in enumerate([_ZEROS, *((word,) for word in ONES[1:9]), nines]):
        for name in (str(number), *names):
            yield name, 1
            for repeat, times in _REPEATS.items():
                yield f"{repeat}{BREAK}{name}", times
    for number in range(10, 100):
        yield figure(number), 2
    for number in range(1, 100):
        yield f"{figure(number)}{BREAK}hundred", 3 if number < 10 else 4
        if number < 10:
            yield from _hundreds(figure(number))
            yield f"{figure(number)}{BREAK}thousand", 4
            for hundreds in ONES[1:10]:
                yield f"{figure(number)}{BREAK}thousand{BREAK}{hundreds}{BREAK}hundred", 4
    yield from _hundreds("a")
    for filler in (*FILLERS, *CARRIERS, *_NUMBERED):
        yield filler, 0
    for phrase in _TAKEN_BACK:
        yield phrase, AFRESH


def _hundreds(hundreds: str) -> Iterator[Counted]:
    """ "one hundred [and] twenty three": three digits."""
    for number in range(1, 100):
        for linked in ("hundred", "hundred_and"):
            yield f"{hundreds}{BREAK}{linked}{BREAK}{figure(number)}", 3


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
    for phrase in _TAKEN_BACK:
        yield phrase, AFRESH


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
    if kind is SlotType.NUMBER:
        extra = tuple(_COUNTED)
    elif kind is SlotType.AMOUNT:
        extra = (*_MONEY, *(f"{number}k" for number in range(1, 1000)))
    elif kind is SlotType.DATE:
        extra = (*_MONTHS, *_DAYS, *_HOLIDAYS, *_ordinals(), *_years())
    elif kind is SlotType.TIME:
        extra = (*_CLOCK, *(f"{number}{half}" for number in range(60) for half in ("am", "pm")))
    yield from ((plain(word), 1) for word in extra)
    beside = (*FILLERS, *CARRIERS, *_TAKEN_BACK, *(_DATED if kind is SlotType.DATE else ()))
    yield from ((filler, 0) for filler in beside)


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
