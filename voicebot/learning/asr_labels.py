"""Targets of all recordings: the transcribers' words in the case and punctuation of the untouched
model, which hears every recording once; what it heard is kept in a file beside the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from voicebot.events import Hypothesis
from voicebot.learning.asr_corpora import Item, read
from voicebot.learning.asr_transcripts import Signal, mended, styled
from voicebot.learning.asr_words import ORDER_CARRIERS

_BATCH = 8
_ALTERNATIVES = 8
OPENINGS = [
    carrier.replace("@", article)
    for carrier in ORDER_CARRIERS
    for article in ("a", "an", "")
    if carrier.endswith("@")
]
"""How orders begin."""


class Ear(Protocol):
    """asr.recogniser.Recogniser, as far as it is used here."""

    def transcribe(self, batch: Sequence[Signal], *, nbest: int = 1) -> list[Hypothesis]:
        """One hypothesis per array of 16 kHz samples."""


def targets(
    items: Sequence[Item], recogniser: Ear, kept: Path, tell: Callable[[str], None]
) -> dict[str, str]:
    """Key -> what the recogniser should write. Orders whose slots cannot be found have none."""
    heard = hearings([item for item in items if not item.is_styled], recogniser, kept, tell)
    found = {item.key: target(item, heard) for item in items}
    missing = [item.key for item in items if found[item.key] is None]
    if missing:
        tell(f"{len(missing)} recordings have no target, such as {missing[0]}")
    return {key: text for key, text in found.items() if text is not None}


def target(item: Item, heard: Mapping[str, Sequence[str]]) -> str | None:
    """Of one recording."""
    others = heard.get(item.key, ())
    if item.text is None:
        return mended(others, item.slots.values(), OPENINGS)
    if item.is_styled:
        return item.text
    return styled(item.text, others[0] if others else "")


def hearings(
    items: Sequence[Item], recogniser: Ear, kept: Path, tell: Callable[[str], None]
) -> dict[str, list[str]]:
    """Key -> what the untouched model hears, best first; several where only slots are known."""
    known: dict[str, list[str]] = {}
    if kept.is_file():
        try:
            known = json.loads(kept.read_text(encoding="utf-8"))
        except ValueError:
            tell(f"{kept}: damaged; listening again")
    for is_order in (False, True):
        new = [i for i in items if i.key not in known and (i.text is None) is is_order]
        for at in range(0, len(new), _BATCH):
            batch = new[at : at + _BATCH]
            nbest = _ALTERNATIVES if is_order else 1
            results = recogniser.transcribe([read(item) for item in batch], nbest=nbest)
            for item, result in zip(batch, results, strict=True):
                known[item.key] = [other.text for other in result.nbest] or [result.text]
            if at // _BATCH % 25 == 0:
                tell(f"the untouched model listens: {at} of {len(new)}")
                _keep(known, kept)
    _keep(known, kept)
    return known


def _keep(known: Mapping[str, Sequence[str]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=0, ensure_ascii=False), encoding="utf-8")
