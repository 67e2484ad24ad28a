"""What counts as the same words, how many are wrong, and how sure one can be of that.

Normalisation, of the reference and of what was recognised alike:

- case, punctuation, accents and the transcriber's marks do not count;
- figures are words: "12" is twelve, "$5" five dollars, "2:30" two thirty; a number of several
  figures may be read in whole ("one hundred five"), in pairs or one by one, as the reference is;
- fillers (uh, um, er, hmm, mm, ...) count on neither side;
- one word written as two is the same: "think engine" is "thinkengine", "wild fire" "wildfire";
- a few spellings of one word: ok and okay, mr and mister, 'cause and because, ...

No more: "onward" is not the invented "onword", "its" not "it's".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from voicebot.nlu.text import cardinal_words, tokenize

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILLERS = frozenset(
    ("uh", "um", "er", "erm", "ehm", "eh", "ah", "mm", "mmm", "hm", "hmm", "mhm", "mmhm", "uhm",
     "uhh", "umm", "huh", "uhhuh")
)  # fmt: skip
SPELLINGS = {
    "ok": ("okay",), "mr": ("mister",), "mrs": ("missus",), "dr": ("doctor",),
    "cause": ("because",), "st": ("saint",), "vs": ("versus",), "alright": ("all", "right"),
    "till": ("until",), "til": ("until",), "gonna": ("going", "to"),
    "wanna": ("want", "to"), "gotta": ("got", "to"),
    "colour": ("color",), "favourite": ("favorite",), "centre": ("center",), "grey": ("gray",),
}  # fmt: skip
RESAMPLES = 1000
_FIGURES = re.compile(r"\d+")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Reference against recognised: `errors` of `words`; which recognised words were right."""

    errors: int
    words: int
    is_right: tuple[bool, ...]
    """Of each whitespace-separated word recognised; fillers and bare marks count as right."""


def normalised(text: str) -> list[str]:
    """The words that count, figures read in whole."""
    return [word for word, _ in _words(text.split(), 0)]


def compare(reference: str, recognised: str) -> Comparison:
    """Under the reading of figures, and of words joined or apart, that leaves fewest errors."""
    heard = recognised.split()
    wanted = normalised(reference)
    best: tuple[int, list[bool]] | None = None
    for reading in range(3 if _FIGURES.search(recognised) else 1):
        words = _joined(_words(heard, reading), wanted)
        joined = [word for word, _ in _joined([(w, (0,)) for w in wanted], [w for w, _ in words])]
        errors, matched = align(joined, [word for word, _ in words])
        if best is None or errors < best[0]:
            wrong = {
                i for (_, origin), ok in zip(words, matched, strict=True) if not ok for i in origin
            }
            best = errors, [i not in wrong for i in range(len(heard))]
    assert best is not None, "there is always a first reading"
    return Comparison(best[0], len(wanted), tuple(best[1]))


def is_same(reference: str, recognised: str) -> bool:
    """Whether nothing is wrong."""
    return compare(reference, recognised).errors == 0


def _words(spaced: Sequence[str], reading: int) -> list[tuple[str, tuple[int, ...]]]:
    """(word, index of the spaced words it comes from); `reading` of figures: 0 whole, 1 pairs,
    2 one by one."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for index, piece in enumerate(spaced):
        for word in _spelled(piece, reading):
            if word not in FILLERS:
                found += [(part, (index,)) for part in SPELLINGS.get(word, (word,))]
    return found


def _spelled(piece: str, reading: int) -> list[str]:
    plain = unicodedata.normalize("NFKD", piece.casefold().replace("’", "'"))
    plain = "".join(c for c in plain if not unicodedata.combining(c)).replace("%", " percent ")
    plain = plain.replace("&", " and ")
    if reading and (figures := _FIGURES.findall(plain)) and len("".join(figures)) > 1:
        size = 2 if reading == 1 else 1
        plain = _FIGURES.sub(lambda match: f" {_read(match.group(), size)} ", plain)
    if not _FIGURES.search(plain):
        return _WORD.findall(plain.replace("-", " "))
    return [word for token in tokenize(plain.replace("-", " ")) for word in token.words]


def _read(figures: str, size: int) -> str:
    if len(figures) % size:
        figures = f"0{figures}"
    groups = [figures[i : i + size] for i in range(0, len(figures), size)]
    return " ".join(" ".join(cardinal_words(int(group))) for group in groups)


def _joined(
    words: list[tuple[str, tuple[int, ...]]], others: Sequence[str]
) -> list[tuple[str, tuple[int, ...]]]:
    """Two words that the other side writes as one, and that it does not have apart, made one."""
    whole, parts = set(others), set(pairwise(others))
    out: list[tuple[str, tuple[int, ...]]] = []
    for word, origin in words:
        if out and (out[-1][0], word) not in parts and out[-1][0] + word in whole:
            before, where = out.pop()
            word, origin = before + word, (*where, *origin)
        out.append((word, origin))
    return out


def align(wanted: Sequence[str], heard: Sequence[str]) -> tuple[int, list[bool]]:
    """(edits, whether each of `heard` stands for the same word of `wanted`), Levenshtein."""
    costs = np.zeros((len(wanted) + 1, len(heard) + 1), np.int32)
    costs[:, 0], costs[0] = np.arange(len(wanted) + 1), np.arange(len(heard) + 1)
    for i, one in enumerate(wanted, 1):
        for j, other in enumerate(heard, 1):
            changed = costs[i - 1, j - 1] + (one != other)
            costs[i, j] = min(changed, costs[i - 1, j] + 1, costs[i, j - 1] + 1)
    matched, i, j = [False] * len(heard), len(wanted), len(heard)
    while i and j:
        if wanted[i - 1] == heard[j - 1] and costs[i, j] == costs[i - 1, j - 1]:
            matched[j - 1], i, j = True, i - 1, j - 1
        elif costs[i, j] == costs[i - 1, j - 1] + 1:
            i, j = i - 1, j - 1
        elif costs[i, j] == costs[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return int(costs[-1, -1]), matched


def bootstrap(
    errors: Sequence[float], sizes: Sequence[float], groups: Sequence[str]
) -> tuple[float, float]:
    """2.5 and 97.5 % points of sum(errors) / sum(sizes), whole groups (sessions, speakers) drawn
    with replacement; of one group alone, recordings. (0, 0) of nothing."""
    if not len(errors):
        return 0.0, 0.0
    names = np.asarray([str(group) for group in groups])
    of = np.unique(names, return_inverse=True)[1].reshape(-1)
    if not of.any():
        of = np.arange(len(names))
    count = int(of.max()) + 1
    parts, wholes = (
        np.bincount(of, weights=np.asarray(values, float), minlength=count)
        for values in (errors, sizes)
    )
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    rates = (drawn @ parts) / np.maximum(drawn @ wholes, 1e-9)
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)


def brier(sure: Sequence[float], right: Sequence[bool]) -> float | None:
    """Mean squared difference between confidence and truth; None of nothing."""
    if not len(sure):
        return None
    difference: NDArray[np.float64] = np.asarray(sure, float) - np.asarray(right, float)
    return float(np.mean(difference**2))
