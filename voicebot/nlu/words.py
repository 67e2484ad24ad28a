"""Lists of words, written as one reads them."""

from __future__ import annotations


def word_list(text: str) -> tuple[str, ...]:
    """The words of a blank-separated string, in order."""
    return tuple(text.split())


def word_set(text: str) -> frozenset[str]:
    """The words of a blank-separated string, for look-up."""
    return frozenset(text.split())
