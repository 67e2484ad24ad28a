"""Names of people in a list: callers say one part of them, or the parts the other way round."""

from __future__ import annotations

from collections.abc import Iterable

from voicebot.patterns import TITLES, name_forms

_TITLED = f"[{'|'.join(TITLES)}] "


def short_forms(values: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Patterns for the parts of names that belong to one name of the list only, each with or
    without a title; see patterns.name_forms."""
    found: dict[str, tuple[str, ...]] = {}
    for value, forms in name_forms(values).items():
        is_turned = " " in forms[0]  # the last is the parts the other way round then
        titled = forms[:-1] if is_turned else forms
        found[value] = (*(f"{_TITLED}{form}" for form in titled), *forms[len(titled) :])
    return found
