"""What a slot tagger looks at: words, their shapes and kinds, their neighbours, the question.

Kinds are small closed classes (weekdays, months, parts of the day, numbers that can be hours,
minutes or years, words for people, ...), so that "the 8th of June" teaches "the 9th of July".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from voicebot.nlu.words import word_set

_TOKEN = re.compile(r"\d+|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s]|_")
MAX_TOKENS = 120

_KINDS: dict[str, frozenset[str]] = {
    "weekday": word_set(
        "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs "
        "fri sat sun"
    ),
    "month": word_set(
        "january february march april may june july august september october november december "
        "jan feb mar apr jun jul aug sep sept oct nov dec"
    ),
    "near_day": word_set("today tomorrow tonight yesterday tonite tmrw tomorow tommorow"),
    "day_part": word_set(
        "morning afternoon evening night noon midnight lunch dinner breakfast lunchtime brunch "
        "midday dinnertime"
    ),
    "meridiem": word_set("am pm a.m p.m"),
    "o_clock": word_set("o'clock oclock clock"),
    "clock_word": word_set("half quarter past till til before after around about by"),
    "ordinal_end": word_set("st nd rd th"),
    "ordinal": word_set(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
        "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth "
        "thirtieth twenty-first"
    ),
    "number": word_set(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
        "hundred dozen couple few zero single"
    ),
    "unit": word_set("day days week weeks month months year years weekend weekends fortnight"),
    "clock_unit": word_set("hour hours minute minutes min mins hrs hr seconds"),
    "relative": word_set("next this last coming following from now in ago later"),
    "people": word_set(
        "people person persons guests guest adults adult kids kid children child friends friend "
        "family families wife husband partner mother father mom dad parents parent brother sister "
        "brothers sisters son sons daughter daughters boyfriend girlfriend fiance fiancee boss "
        "colleague colleagues coworker coworkers men women man woman boys girls boy girl couples "
        "baby babies toddler toddlers infant infants grandma grandpa grandmother grandfather "
        "grandparents grandchildren grandkids cousin cousins uncle aunt niece nephew twins members "
        "pax ppl guys folks clients client buddies buddy mates mate party group seats relatives "
        "neighbor neighbors roommate spouse teenagers teens students individuals diners heads "
        "triplets girlfriends siblings"
    ),
    "self": word_set("me myself i us we ourselves my our alone"),
    "name_cue": word_set("name named under surname called mr mrs ms miss dr last first family"),
    "and": word_set("and & plus with"),
}
KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}


@dataclass(frozen=True, slots=True)
class Piece:
    """A token and where it stands in the text."""

    text: str
    start: int
    end: int


def pieces_of(text: str) -> list[Piece]:
    """Numbers, words and single punctuation marks, at most MAX_TOKENS."""
    return [Piece(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)][:MAX_TOKENS]


@lru_cache(maxsize=16384)
def kind_of(word: str) -> str:
    """The closed class of a lower-case token, or what its shape says."""
    if word.isdigit():
        number = int(word) if len(word) <= 6 else 0
        if len(word) == 4:
            return "year" if 1990 <= number <= 2100 else "four"
        if len(word) == 2 and number % 15 == 0 and number < 60:
            return "minutes"
        if len(word) > 2:
            return "long_number"
        return "hour" if 0 < number <= 12 else "day" if number <= 31 else "two"
    known = KIND_OF.get(word)
    if known:
        return known
    return "word" if word[0].isalpha() else f"mark{word}"


@lru_cache(maxsize=16384)
def shape_of(text: str) -> str:
    """Capitals, small letters and digits, runs shortened."""
    if text.isdigit():
        return "9" * min(len(text), 5)
    if not text[0].isalpha():
        return text
    if text.islower():
        return "x" if len(text) > 1 else "x1"
    if text.isupper():
        return "X" if len(text) > 1 else "X1"
    return "Xx" if text[0].isupper() else "xX"


def features_of(
    text: str, pieces: Sequence[Piece], asked: Sequence[str], familiar: Mapping[str, int], own: int
) -> Iterator[list[str]]:
    """Names of the binary features of each token.

    `asked`: the slots that the question was about. `familiar`: how often each lower-case word
    occurred in training; `own`: 1 when this very sentence was counted there, which must not show.
    """
    pad = ["<s>", "<s>"]
    words = [*pad, *(piece.text.lower() for piece in pieces), *pad]
    kinds = ["<s>" if word == "<s>" else kind_of(word) for word in words]
    shapes = [*pad, *(shape_of(piece.text) for piece in pieces), *pad]
    # "eight pm" and "8 pm" are one to what stands around them.
    coarse = [_coarse(kind) for kind in kinds]
    question = "+".join(sorted(set(asked))) or "-"
    length = min(len(pieces), 4)
    for at, piece in enumerate(pieces):
        i = at + 2
        w, k = words[i], kinds[i]
        seen = familiar.get(w, 0) - own
        rarity = "0" if seen <= 0 else "1" if seen <= 2 else "5" if seen <= 9 else "9"
        glued = piece.start > 0 and not text[piece.start - 1].isspace()
        out = ["b", f"q={question}", f"n={length}|{question}|{k}", f"w={w}", f"k={k}"]
        out += [f"s={shapes[i]}", f"s3={shapes[i - 1]}|{shapes[i]}|{shapes[i + 1]}"]
        out += [f"w{d}={words[i + d]}" for d in (-2, -1, 1, 2)]
        out += [f"k{d}={kinds[i + d]}" for d in (-2, -1, 1, 2)]
        out += [f"ww={words[i - 1]}|{w}", f"ww1={w}|{words[i + 1]}"]
        out += [f"wow={words[i - 1]}|{words[i + 1]}", f"w-2w-1={words[i - 2]}|{words[i - 1]}"]
        out += [f"kk={kinds[i - 1]}|{k}", f"kk1={k}|{kinds[i + 1]}"]
        out += [f"kkk={coarse[i - 1]}|{coarse[i]}|{coarse[i + 1]}"]
        out += [f"kkk-={coarse[i - 2]}|{coarse[i - 1]}|{coarse[i]}"]
        out += [f"kkk+={coarse[i]}|{coarse[i + 1]}|{coarse[i + 2]}"]
        out += [f"wk={words[i - 1]}|{k}", f"kw={k}|{words[i + 1]}", f"wk2={words[i - 2]}|{k}"]
        out += [f"r={rarity}|{shapes[i]}", f"r={rarity}|{words[i - 1]}", f"rq={rarity}|{question}"]
        out += [f"g={glued}|{k}", f"sq={shapes[i]}|{question}", f"at={min(at, 3)}|{k}"]
        out += [f"kq={k}|{question}", f"kq-={kinds[i - 1]}|{question}"]
        if piece.text[0].isalpha():
            out += [f"p={w[:n]}" for n in (2, 3)] + [f"e={w[-n:]}" for n in (2, 3)]
        for slot in set(asked):
            out += [f"a={slot}|{k}", f"aw={slot}|{w}", f"ar={slot}|{rarity}"]
        out.append(f"follows={_kinds_before(kinds, i)}|{k}")
        yield out


def _coarse(kind: str) -> str:
    return "num" if kind in {"hour", "day", "two", "minutes", "number"} else kind


def _kinds_before(kinds: Sequence[str], at: int) -> str:
    """The last telling kind up to six tokens before."""
    for kind in reversed(kinds[max(0, at - 6) : at]):
        if kind not in {"word", "and", "relative", "<s>"} and not kind.startswith("mark"):
            return _coarse(kind)
    return "-"
