"""What a caller who speaks into a prompt means by it: the floor, a nod, or nothing. Pure.

English. A backchannel ("uh-huh") tells the speaker to go on (Yngve 1970); whoever stops for it
annoys. The same word may answer the question asked: then it takes the floor.
"""

from __future__ import annotations

import re
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
    if len(words) >= needed and _contains(_words(bot_text), words):
        return "echo"
    if is_backchannel(text) and not _answers(completeness, expectation):
        return "backchannel"
    return "floor"


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


def _contains(words: list[str], part: list[str]) -> bool:
    return any(words[at : at + len(part)] == part for at in range(len(words) - len(part) + 1))
