"""Letters to sounds, roughly, and how easily one sound is heard as another.

Spelling rules in the manner of NRL's letter-to-sound rules (Elovitz et al., 1976), cut down
to what comparing words needs: both sides of a comparison go through the same rules, so that
"mocker" and "mocha" meet although neither is transcribed perfectly.

One character per sound. Vowels: i I e E a A o O u U @ (schwa) Y (eye) W (how) Q (boy).
Consonants as written, and C (ch) S (sh) Z (vision) J (judge) T (th) N (sing) R (r after a
vowel, which half of the speakers drop) D (t or d that ends a consonant cluster, dropped as
often: "ice(d) coffee").
"""

from __future__ import annotations

import re
from functools import lru_cache

VOWELS = frozenset("iIeEaAoOuU@YWQ")
# Everyday words that no rule of English spelling predicts.
_IRREGULAR = {
    "a": "@", "an": "@n", "the": "T@", "of": "Av", "to": "tu", "too": "tu", "two": "tu",
    "do": "du", "you": "yu", "your": "yoR", "one": "wAn", "once": "wAns", "won": "wAn",
    "who": "hu", "eye": "Y", "i": "Y", "i'd": "Yd", "i'm": "Ym", "i'll": "Yl", "are": "oR",
    "were": "w@R", "was": "woz", "have": "hav", "give": "gIv", "get": "get", "gets": "gets",
    "some": "sAm", "come": "kAm", "done": "dAn", "none": "nAn", "does": "dAz", "said": "sed",
    "says": "sez", "again": "agen", "eight": "Et", "ate": "Et", "how": "hW", "now": "nW",
    "allow": "alW", "been": "bIn", "any": "eni", "many": "meni", "people": "pip@l",
    "sugar": "Sug@R", "sure": "SuR", "there": "TeR", "their": "TeR", "they": "TE",
    "where": "weR", "what": "wot", "want": "wont", "great": "grEt",
    "month": "mAnT", "money": "mAni", "monday": "mAndE", "wednesday": "wenzdE",
    "tuesday": "tuzdE", "other": "AT@R", "mother": "mAT@R", "brother": "brAT@R", "love": "lAv",
    "above": "abAv", "business": "bIznes", "busy": "bIzi", "answer": "ans@R", "hour": "WR",
    "hours": "WRz", "our": "WR", "ounce": "Wns", "colour": "kAl@R", "through": "Tru",
    "though": "TO", "thought": "Tot", "bought": "bot", "enough": "enAf", "tough": "tAf",
    "laugh": "laf", "cough": "kof", "friend": "frend", "key": "ki",
    "gift": "gIft", "girl": "g@Rl", "begin": "begIn", "together": "tugeT@R", "target": "taRget",
    "island": "Yl@nd", "receipt": "resit", "debt": "det", "live": "lIv", "put": "put",
    "push": "puS", "full": "ful", "pull": "pul", "good": "gud", "book": "buk", "look": "luk",
    "took": "tuk", "blood": "blAd", "move": "muv", "lose": "luz", "lost": "lost", "both": "bOT",
    "most": "mOst", "post": "pOst", "only": "Onli", "old": "Old", "double": "dAb@l",
    "trouble": "trAb@l", "couple": "kAp@l", "latte": "latE", "yeah": "ye", "queue": "kyu",
}  # fmt: skip
# (pattern at this place, sounds); the first that matches wins.
_RULES: tuple[tuple[str, str], ...] = (
    (r"^(?:kn|gn|pn)", "n"),
    (r"^wr", "r"), (r"^ps", "s"), (r"^x", "z"), (r"^who(?=l)", "hO"), (r"^wh", "w"),
    (r"tch", "C"), (r"sch", "sk"), (r"ssion|tion|cian", "S@n"), (r"sion", "Z@n"),
    (r"[ct]ious", "S@s"), (r"[ct]ial", "S@l"), (r"ture\b", "C@R"), (r"sure\b", "Z@R"),
    (r"dg(?=e|i|y)", "J"), (r"ch(?=[ao]\b)", "k"), (r"ch(?=r|l)", "k"), (r"ch", "C"),
    (r"cc(?=[iey])", "C"), (r"sc(?=[iey])", "s"), (r"ck", "k"), (r"cqu?", "k"),
    (r"c(?=[iey])", "s"), (r"cc?", "k"), (r"ph", "f"), (r"sh", "S"), (r"th", "T"),
    (r"ng\b", "N"), (r"n(?=[kg](?![eiy]))", "N"), (r"gu(?=[aeiy])", "g"), (r"gg", "g"),
    (r"g(?=[eiy])", "J"), (r"ough", "O"), (r"augh", "o"), (r"eigh", "E"), (r"igh", "Y"),
    (r"(?<=[a-z])gh", ""), (r"gh", "g"), (r"qu", "kw"), (r"q", "k"), (r"x", "ks"),
    (r"mb\b", "m"), (r"bt\b", "t"), (r"ould", "ud"), (r"al(?=k)", "o"), (r"al(?=m)", "o"),
    (r"all", "ol"), (r"mm", "m"),
    (r"(?<=[td])ed\b", "Id"), (r"(?<=[aeiouy][bcdfgklmnprsvxz])e(?=d\b)", ""),
    (r"(?<=[bcdfghklmnprstvxz])les?\b", "@l"), (r"eau", "O"),
    (r"(?<=[cghkpsx])ed\b", "t"), (r"(?<=[bfglmnrvwyz])ed\b", "d"),
    (r"ayor", "E@R"), (r"(?:air|are)\b", "eR"), (r"ear(?=[a-z])", "@R"), (r"e[ae]r\b", "iR"),
    (r"(?:ous|us)\b", "@s"), (r"our", "oR"), (r"oor|oar", "oR"), (r"war", "woR"),
    (r"(?<=[a-z])(?:er|or|ur|ir|re|ure)\b", "@R"), (r"(?:er|ir|ur)(?=[^aeiouy])", "@R"),
    (r"ee|ea|ie(?=[a-z])", "i"), (r"oo|ew|ue\b|ui|eu", "u"), (r"oa|oe\b", "O"),
    (r"ai|ay|ei", "E"), (r"ey\b", "i"), (r"ey", "E"), (r"oi|oy", "Q"), (r"au|aw", "o"),
    (r"ow\b", "O"), (r"ow(?=(?:s|ed)\b)", "O"), (r"ou|ow", "W"), (r"ie\b", "i"), (r"io", "iO"),
    (r"ia", "i@"), (r"^y(?=[aeiou])", "y"), (r"y(?=[aeiou])", "y"),
    (r"a(?=(?:[bcdfgklmnpstvz]|st)(?:e|es|ed|ing)\b)", "E"),
    (r"i(?=[bcdfgklmnprstvz](?:e|es|ed)\b)", "Y"),
    (r"i(?=nd\b|ld\b)", "Y"), (r"o(?=[bcdfgklmnpstvz](?:e|es|ed)\b)", "O"),
    (r"o(?=l[dtl]|st\b)", "O"),
    (r"u(?=[bcdfgklmnprstvz](?:e|es|ed|[aio]))", "u"), (r"e(?=[bcdfgklmnpstvz]e\b)", "i"),
    (r"(?<=[a-z])(?<![aeiou])e\b", ""), (r"(?<=[aeiouy][a-z])e(?=s\b)", ""),
    (r"a\b", "@"), (r"o\b", "O"), (r"i\b", "i"), (r"u\b", "u"), (r"e\b", "i"),
    (r"^([^aeiouy]*)y\b", "Y"), (r"y\b", "i"), (r"ys?\b", "i"), (r"y", "I"),
    (r"a", "a"), (r"e", "e"), (r"i", "I"), (r"o", "o"), (r"u", "A"),
    (r"r(?=[^aeiouy]|\b)", "R"), (r"([bdfklmnprstvwzgj])\1", ""),
    (r"j", "J"), (r"([bdfhklmnprstvwzg])", "="),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), sounds) for pattern, sounds in _RULES)
_SPOKEN = str.maketrans({"c": "k", "j": "J", "q": "k", "x": "ks"})
"""Letters that no rule took ("hajj", "xy") are spoken somehow; what is returned are sounds."""
_WEAK_END = re.compile(r"(?<=[bdfgklmnpstvzCSZJTN])[td]$")
_MONOSYLLABLE_Y = re.compile(r"^[^aeiouy]+y$")


@lru_cache(maxsize=8192)
def sounds_of(word: str) -> str:
    """Sounds of one lower-case word; letters beyond a-z and apostrophes are silent."""
    return _WEAK_END.sub("D", _sounds_of(word)).translate(_SPOKEN)


def _sounds_of(word: str) -> str:
    known = _IRREGULAR.get(word)
    if known is not None:
        return known
    plain = "".join(c for c in word if "a" <= c <= "z")[:40]
    if len(plain) == 1:
        return LETTER_SOUNDS[plain]
    if _MONOSYLLABLE_Y.match(plain):
        return _sounds_of(plain[:-1] + "ie")[:-1] + "Y" if len(plain) > 2 else plain[0] + "Y"
    return _squeeze(_by_rule(plain))


def _by_rule(plain: str) -> str:
    out, at = [], 0
    while at < len(plain):
        for pattern, sounds in _COMPILED:
            match = pattern.match(plain, at)
            if match and match.end() > at:
                if sounds == "" and len(match.groups()) == 1:  # a doubled consonant sounds once
                    out.append(match.group(1))
                else:
                    out.append(match.group() if sounds == "=" else sounds)
                at = match.end()
                break
        else:
            at += 1
    return "".join(out)


def _squeeze(sounds: str) -> str:
    return "".join(s for i, s in enumerate(sounds) if i == 0 or s != sounds[i - 1])


LETTER_SOUNDS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        [
            "E",
            "bi",
            "si",
            "di",
            "i",
            "ef",
            "Ji",
            "EC",
            "Y",
            "JE",
            "kE",
            "el",
            "em",
            "en",
            "O",
            "pi",
            "kyu",
            "aR",
            "es",
            "ti",
            "yu",
            "vi",
            "dAbAlyu",
            "eks",
            "wY",
            "zi",
        ],
        strict=True,
    )
)

# ---------------------------------------------------------------- confusion costs

_WEIGHTS = {
    "@": 0.4,
    "R": 0.25,
    "D": 0.3,
    "h": 0.6,
    **dict.fromkeys("rlwy", 0.8),
    **dict.fromkeys("iIeEaAoOuUYWQ", 0.6),
}
WEIGHT = {s: _WEIGHTS.get(s, 1.0) for s in "iIeEaAoOuU@YWQbdfghklmnprstvwyzCSZJTNRD"}
"""How much a sound counts: consonants carry the word, vowels and weak sounds less."""

_CLOSE = {  # cost of hearing one for the other; telephone speech has no energy above 3.4 kHz
    0.1: "Dt Dd iI iE eE eI aA oA oO oa uU A@ a@ I@ e@ o@ U@ aR oR OU ou",
    0.2: "sz pb td kg fv CJ SZ YI Ya WO Wo Qo i@ u@ O@ ea ei eA uA Ou OA Wa sT vT @R YE YQ",
    0.3: "mn nN sS zZ CS JZ fT dT tT sf zv SC iy uw tC dJ JS TS",
    0.45: "pt pk tk bd dg bg bv vw lr lw rw lR rR bw mb fp sC ks nd hf kC dl nl ty @l @n",
}


def _costs() -> dict[str, dict[str, float]]:
    close = {pair: cost for cost, pairs in _CLOSE.items() for pair in pairs.split()}
    table: dict[str, dict[str, float]] = {}
    for a in WEIGHT:
        row = table[a] = {}
        for b in WEIGHT:
            both_vowels = a in VOWELS and b in VOWELS
            same_kind = both_vowels or (a not in VOWELS and b not in VOWELS)
            far = 0.3 if both_vowels else 0.9 if same_kind else 1.1
            row[b] = 0.0 if a == b else close.get(a + b, close.get(b + a, far))
    return table


SUBSTITUTION = _costs()
"""SUBSTITUTION[a][b]: 0 for the same sound, about 1 for sounds that are never confused."""
DELETION = {s: 0.8 * weight for s, weight in WEIGHT.items()}
"""An expected sound that was not heard."""
INSERTION = {s: 0.75 * weight for s, weight in WEIGHT.items()}
"""A heard sound that was not expected."""

CLASS_OF = dict.fromkeys(VOWELS, "V") | {
    sound: group[0]
    for group in ("pbfvw", "tdTD", "kg", "szSZCJ", "mnN", "lrR", "y", "h")
    for sound in group
}
"""Coarse classes for the fast search: sounds of one class count as equal there."""


def weight_of(sounds: str) -> float:
    """Total weight of a sound string."""
    return sum(WEIGHT[s] for s in sounds)
