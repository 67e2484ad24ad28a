"""Names of people in a list: callers say one part of them, or the parts the other way round."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_TITLES = frozenset(("dr", "mr", "mrs", "ms", "doctor", "mister", "missus", "miss", "professor"))
_TITLED = "[doctor|dr|mister|mr|missus|mrs|miss|ms|professor] "


def short_forms(values: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Patterns for the parts of names that belong to one name of the list only.

    A name is a value of two words or more, each with a capital: "John Smith", "Dr. Wei Chen".
    """
    parts = {value: found for value in values if (found := _parts(value))}
    counts = Counter(part.lower() for found in parts.values() for part in set(found))
    forms: dict[str, tuple[str, ...]] = {}
    for value, found in parts.items():
        own = [f"{_TITLED}{part}" for part in found if counts[part.lower()] == 1]
        turned = [f"{found[-1]} {' '.join(found[:-1])}"] if len(found) > 1 else []
        forms[value] = (f"{_TITLED}{' '.join(found)}", *own, *turned)
    return forms


def _parts(value: str) -> list[str]:
    words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", value)
    is_name = len(words) > 1 and all(word[0].isupper() for word in words)
    return [word for word in words if word.lower() not in _TITLES] if is_name else []
