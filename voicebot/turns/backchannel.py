"""What a caller who speaks into a prompt means by it: the floor, a nod, or nothing. Pure.

A backchannel ("uh-huh") tells the speaker to go on; whoever stops for it annoys. The same word may
answer the question asked: then it takes the floor. Which words are nods: `word_lists`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal

from voicebot.events import Completeness, Expectation, SlotType
from voicebot.turns.patience import SPELLED_TYPES
from voicebot.turns.word_lists import nods_of, words_of

Rejection = Literal["backchannel", "noise", "echo"]
Verdict = Literal["floor"] | Rejection

ECHOED_WORDS_UNLOCKED, ECHOED_WORDS = 2, 4
"""So many of the bot's own words in a row are its echo. A caller may repeat one or two of them
(a menu's choice), which is why it takes more where the canceller removes the echo."""
ECHO_LIKENESS_UNLOCKED, ECHO_LIKENESS = 0.6, 0.75
"""How like them (difflib's ratio of the letters): echo is recognised with errors."""
DOUBTFUL = 0.4
"""So unsure is the recogniser of what is left of an echo (0 to 0.4 on the echo matrix), of hums,
and of sentences broken off in a word; of short answers it hardly ever is."""
OWN_LIKENESS, OWN_CONFIDENCE, OWN_ANSWER_CONFIDENCE = 0.85, 0.8, 0.6
"""Few words that the bot says too, heard no more surely than this, are its own; less is asked of
an answer to the question where the echo is removed: menus name what callers then choose."""
CERTAIN = 0.9
"""What is as sure as this is what was said, whatever else it might have been: the first digits of a
number ("four") are not the words of the prompt that sound like them ("for")."""
MAX_WORDS, MAX_BOT_WORDS = 8, 60
"""More is not compared."""
CERTAIN_WORDS, CERTAIN_LIKENESS = 4, 0.85
"""After a prompt, so many words in a row that are so like its own are what is left of it."""
UNDOUBTED_WORDS = 3
"""So many words that are not the bot's take the floor while its echo is not removed yet, and
before it is known what else the caller will say."""
NOD_MS = 650
"""Nods last 0.15 to 0.65 s, and are recognised as anything, now so, now so."""
SCRAP_MS, SHORT_MS, MOVED_ANSWER_MS = 240, 120, 200
"""Over an echo that is followed, shorter sound than the first is no word that the dialogue can do
nothing with, and sound shorter than the second no certain one, and no answer unless it is certain;
over one that was followed and lost nothing below GRUNT_MS is a word, nor an answer below the third.
Where the delay jumps, a clock drifts or prompts begin late, scraps of echo are left for a moment
and pass for "Six." or "Think." with 0.7 to 0.98, all after the echo was first followed. Before
that nobody knows whether there is any: on handsets nothing comes back, and what is told of the
caller then is so little that "Stop." lasts 30 to 230 ms (LOG.md)."""
GRUNT_MS, WORD_CONFIDENCE = 500, 0.6
"""A word or two so short that the dialogue can do nothing with, and no surer than this, are no
reason to stop for: most commands are longer. A sure one is a word that was said, and no nod: an
answer misheard ("three" as "c"), or a wish that the dialogue does not know."""


def verdict(
    text: str,
    completeness: Completeness,
    expectation: Expectation,
    *,
    bot_text: str = "",
    is_locked: bool = True,
    has_moved: bool = False,
    spoken_ms: float | None = None,
    may_be_nod: bool = False,
    confidence: float = 1.0,
) -> Verdict | None:
    """What `text`, heard over a prompt, is; None: it may be the begin of anything.

    `bot_text`: what the prompt says; "" where no echo is possible. `is_locked`: whether the
    canceller removes the echo; `has_moved`: it did so before, and lost it. `spoken_ms`: how long
    the caller spoke, None while he goes on. `may_be_nod`: whether another hypothesis of the same
    speech was a nod. `confidence`: the recogniser's, in all of the text.
    """
    words = words_of(text)
    if not words or " ".join(words) in nods_of(expectation.language).hallucinations:
        return "noise"
    answers = _answers(text, completeness, expectation)
    said = words_of(bot_text)
    is_group = completeness is Completeness.EXTENDABLE and _is_spelled(expectation)
    is_another = is_group and confidence >= CERTAIN and not set(words) & set(said)
    is_own = _is_own(words, said, confidence, is_locked=is_locked, answers=answers)
    if is_own and not is_another:
        return "echo"
    is_doubtful = confidence < DOUBTFUL
    is_scrap = spoken_ms is not None and _is_scrap(
        spoken_ms, completeness, confidence, is_locked=is_locked, has_moved=has_moved
    )
    may_be_echo = (is_doubtful or is_scrap) and bool(bot_text)
    if answers and not may_be_echo:
        return "floor"
    if is_backchannel(text, expectation.language):
        return "backchannel"
    if len(words) >= UNDOUBTED_WORDS and not may_be_echo:
        return "floor"
    if spoken_ms is None:
        return None
    if may_be_echo:
        return "echo"
    if spoken_ms <= NOD_MS and (is_doubtful or (may_be_nod and confidence < CERTAIN)):
        return "backchannel"
    is_grunt = spoken_ms <= GRUNT_MS and completeness is Completeness.NONE
    return "backchannel" if is_grunt and confidence < WORD_CONFIDENCE else "floor"


def _is_scrap(
    spoken_ms: float,
    completeness: Completeness,
    confidence: float,
    *,
    is_locked: bool,
    has_moved: bool,
) -> bool:
    """Whether that is too short for what was recognised in it, where an echo is or was known."""
    is_answer, is_certain = completeness is not Completeness.NONE, confidence >= CERTAIN
    if is_answer and is_certain:
        return False
    if has_moved:
        return spoken_ms < (MOVED_ANSWER_MS if is_answer else GRUNT_MS)
    return is_locked and spoken_ms < (SHORT_MS if is_answer or is_certain else SCRAP_MS)


def _is_own(
    words: list[str], said: list[str], confidence: float, *, is_locked: bool, answers: bool
) -> bool:
    """Whether the bot says these words itself, and the caller hardly does."""
    if not said:
        return False
    likeness = _likeness(said, words)
    needed = ECHOED_WORDS if is_locked else ECHOED_WORDS_UNLOCKED
    if len(words) >= needed:
        return likeness >= (ECHO_LIKENESS if is_locked else ECHO_LIKENESS_UNLOCKED)
    if likeness < OWN_LIKENESS:
        return False
    if len(words) >= UNDOUBTED_WORDS and not answers:
        return True
    if is_locked and answers:
        return confidence < OWN_ANSWER_CONFIDENCE
    return confidence < OWN_CONFIDENCE or not (is_locked or answers)


def is_echo(text: str, bot_text: str) -> bool:
    """Whether this is the end of what the bot said, word by word; a caller may repeat some."""
    words, said = words_of(text), words_of(bot_text)[-MAX_BOT_WORDS:]
    if not CERTAIN_WORDS <= len(words) <= MAX_WORDS:
        return False
    return max(_word_likeness(said, words), default=0.0) >= CERTAIN_LIKENESS


def _word_likeness(words: list[str], part: list[str]) -> Iterator[float]:
    matcher = SequenceMatcher(None, autojunk=False)
    matcher.set_seq2(part)
    for at in range(max(1, len(words) - len(part) + 1)):
        matcher.set_seq1(words[at : at + len(part)])
        yield matcher.ratio()


def is_backchannel(text: str, language: str = "en") -> bool:
    """Whether `text` consists of nods alone, in the language of the plan."""
    nods = nods_of(language)
    plain = " ".join(words_of(text))
    for phrase in nods.phrases:
        plain = re.sub(rf"\b{phrase}\b", "ok", plain)
    words = plain.split()
    return bool(words) and all(word in nods.words for word in words)


def is_wordless(text: str, completeness: Completeness, expectation: Expectation) -> bool:
    """Whether `text` is what is recognised in a hum: nothing, what is made up there, or a nod,
    unless it answers."""
    plain = " ".join(words_of(text))
    if not plain or plain in nods_of(expectation.language).hallucinations:
        return True
    is_nod = is_backchannel(text, expectation.language)
    return is_nod and not _answers(text, completeness, expectation)


def _answers(text: str, completeness: Completeness, expectation: Expectation) -> bool:
    """Whether it answers: any text fills a free text slot, but a nod is not meant to."""
    focus = next((slot.type for slot in expectation.slots if slot.name == expectation.focus), None)
    is_meant = focus is not SlotType.TEXT or not is_backchannel(text, expectation.language)
    return completeness is Completeness.COMPLETE and is_meant


def _is_spelled(expectation: Expectation) -> bool:
    """Whether what is asked for is read out digit by digit, or letter by letter."""
    focus = next((slot.type for slot in expectation.slots if slot.name == expectation.focus), None)
    return focus in SPELLED_TYPES


def _likeness(words: list[str], part: list[str]) -> float:
    """0..1, of `part` to the stretch of `words` that is most like it, letter by letter.

    0 for what is longer than any scrap of echo: comparing takes time, and echo ends with the pause.
    """
    if len(part) > MAX_WORDS:
        return 0.0
    matcher = SequenceMatcher(None, autojunk=False)
    matcher.set_seq2(" ".join(part))
    best, words = 0.0, words[-MAX_BOT_WORDS:]
    for at in range(max(1, len(words) - len(part) + 1)):
        matcher.set_seq1(" ".join(words[at : at + len(part)]))
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
            best = max(best, matcher.ratio())
    return best
