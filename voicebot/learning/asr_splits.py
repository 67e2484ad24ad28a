"""Which recordings no training may see: by session or speaker, listed in `asr_splits.json`.

The rule behind the list is the crc32 of the name, every fifth; collections of so few speakers
that the rule takes none or all are listed by hand. What the list does not name may be trained on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

FILE = Path(__file__).parent / "asr_splits.json"


@dataclass(frozen=True, slots=True)
class Splits:
    """`held_out`: set -> sessions, speakers, voices or files (what the set is split by)."""

    held_out: Mapping[str, frozenset[str]]

    def is_held_out(self, corpus: str, group: str) -> bool:
        """Whether training may not see that group."""
        return group in self.held_out.get(corpus, frozenset())


def load(path: Path = FILE) -> Splits:
    """The list of the repository."""
    content = json.loads(path.read_text())
    return Splits({name: frozenset(part["held_out"]) for name, part in content.items()})


def every_fifth(names: Iterable[str]) -> list[str]:
    """The names that the rule holds out, ascending."""
    return sorted(name for name in set(names) if crc32(name.encode()) % 5 == 0)
