"""What a caller who speaks into a prompt means by it: the floor, a nod, or nothing. Pure.

English. A backchannel ("uh-huh") tells the speaker to go on (Yngve 1970); whoever stops for it
annoys. The same word may answer the question asked: then it takes the floor.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Literal

from voicebot.events import Completeness, Expectation, SlotType

Verdict = Literal["floor", "backchannel", "noise", "echo"]

# fmt: off
BACKCHANNELS = frozenset(
    [
        "ah", "aha", "alright", "cool", "fine", "good", "great", "hm", "hmm", "huh", "mhm",
        "mhmm", "mm", "mmhm", "mmhmm", "mmm", "nice", "oh", "ok", "okay", "perfect", "really",
        "right", "sure", "uh", "uhhuh", "uhuh", "um", "wonderful", "wow", "ya", "yeah", "yep",
        "yes", "yup",
    ]
)
# fmt: on
"""Words of which alone no caller wants the floor; "no" and "what" are not among them."""
PHRASES = ("i see", "i know", "got it", "go on", "all right", "of course", "uh huh", "mm hmm")
ECHOED_WORDS_UNLOCKED, ECHOED_WORDS = 2, 4
"""So many of the bot's own words in a row are its echo. A caller may repeat one or two of them
(a menu's choice), which is why it takes more where the canceller removes the echo."""
ECHO_LIKENESS_UNLOCKED, ECHO_LIKENESS = 0.6, 0.75
"""How like them (difflib's ratio of the letters): echo is recognised with errors."""
UNDOUBTED_WORDS = 3
"""So many words that are not the bot's take the floor while its echo is not removed yet."""


def verdict(
    text: str,
    completeness: Completeness,
    expectation: Expectation,
    *,
    bot_text: str = "",
    is_locked: bool = True,
) -> Verdict:
    """What `text`, heard over a prompt, is.

    `bot_text`: what the prompt says; b"" where no echo is possible. `is_locked`: whether the
    canceller removes the echo.
    """
    words = _words(text)
    if not words:
        return "noise"
    needed = ECHOED_WORDS if is_locked else ECHOED_WORDS_UNLOCKED
    if len(words) >= needed:
        likeness = ECHO_LIKENESS if is_locked else ECHO_LIKENESS_UNLOCKED
        if _likeness(_words(bot_text), words) >= likeness:
            return "echo"
    if _answers(completeness, expectation):
        return "floor"
    if is_backchannel(text):
        return "backchannel"
    # A scrap of echo is recognised as any short word; nobody can tell it from a caller's.
    return "floor" if is_locked or len(words) >= UNDOUBTED_WORDS else "echo"


def is_backchannel(text: str) -> bool:
    """Whether `text` consists of nods alone."""
    plain = " ".join(_words(text))
    for phrase in PHRASES:
        plain = re.sub(rf"\b{phrase}\b", "ok", plain)
    words = plain.split()
    return bool(words) and all(word in BACKCHANNELS for word in words)


def _answers(completeness: Completeness, expectation: Expectation) -> bool:
    """Whether a nod answers: any text fills a free text slot, but a nod is not meant to."""
    focus = next((slot.type for slot in expectation.slots if slot.name == expectation.focus), None)
    return completeness is Completeness.COMPLETE and focus is not SlotType.TEXT


def _words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]", " ", text.casefold().replace("-", "")).split()


def _likeness(words: list[str], part: list[str]) -> float:
    """0..1, of `part` to the stretch of `words` that is most like it."""
    matcher = SequenceMatcher(None, autojunk=False)
    matcher.set_seq2(" ".join(part))
    best = 0.0
    for length in (len(part) - 1, len(part), len(part) + 1):
        for at in range(max(1, len(words) - length + 1)):
            matcher.set_seq1(" ".join(words[at : at + length]))
            if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
                best = max(best, matcher.ratio())
    return best
