"""What the labels of recorded requests ask of a dialplan: its own slots and values, by any name.

A label's slot is the plan's slot of the same name ("coffeeDrink", "coffee_drink" and "Coffee
drink" are one); its value is the choice of that value, or the choice one of whose phrases it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import isfile  # False for a name too long to be one, where Path.is_file raises
from pathlib import Path
from typing import Any

from voicebot.audio.files import FORMATS
from voicebot.errors import UserMistake
from voicebot.evaluation.turns_files import read_labels
from voicebot.events import Expectation, Interpretation, SlotSpec
from voicebot.nlu.grammar import expand_leniently
from voicebot.nlu.text import tokenize

SUFFIXES = (".flac", ".wav", ".opus", ".ogg", ".mp3")
LABELS = "labels.json"


@dataclass(frozen=True, slots=True)
class Request:
    """One recording, and the meaning that the plan should find in it, in the plan's terms.

    `unknown` names what the plan has no counterpart for: such a request cannot be right.
    """

    path: Path
    intent: str
    slots: Mapping[str, str]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str
    values: Mapping[str, str] = field(default_factory=dict)  # plain value or phrase -> value


class Requests:
    """The labels of a folder in the terms of an Expectation."""

    def __init__(self, expectation: Expectation) -> None:
        self._slots = {plain(slot.name): _slot(slot) for slot in expectation.slots}
        known = (*expectation.intents, *expectation.universals)
        self._intents = {plain(intent.name): intent.name for intent in known}

    def read(self, directory: Path) -> list[Request]:
        """Of `directory`, or of the one folder in it that has labels.

        UserMistake when there are none, when they are no labels, or name no recording there.
        """
        folder = labelled_folder(directory)
        requests = []
        for stem, label in sorted(read_labels(folder / LABELS).items()):
            path = _recording(folder, stem)
            if path is not None:
                requests.append(self._request(path, label, folder / LABELS))
        if not requests:
            raise UserMistake(
                f"{folder}: none of the recordings that {LABELS} names is there ({FORMATS})"
            )
        return requests

    def _request(self, path: Path, label: Mapping[str, Any], source: Path) -> Request:
        slots, intent = label.get("slots", {}), label.get("intent")
        if not isinstance(intent, str) or not isinstance(slots, dict):
            raise UserMistake(f'{source}: {path.stem} needs an "intent" and its "slots"')
        wanted: dict[str, str] = {}
        unknown = [] if plain(intent) in self._intents else [f"intent {intent}"]
        for name, value in slots.items():
            slot = self._slots.get(plain(str(name)))
            if slot is None:
                unknown.append(f"slot {name}")
                continue
            found = slot.values.get(plain(str(value))) if slot.values else plain(str(value))
            if found is None:
                unknown.append(f"{name}: {value}")
            wanted[slot.name] = found or str(value)
        return Request(path, self._intents.get(plain(intent), intent), wanted, tuple(unknown))


def labelled_folder(directory: Path) -> Path:
    """`directory`, or the one folder in it, that holds labels.json. UserMistake when none does."""
    if (directory / LABELS).is_file():
        return directory
    found = sorted(path.parent for path in directory.glob(f"*/{LABELS}"))
    if len(found) == 1:
        return found[0]
    problem = f"has {LABELS} in {len(found)} folders" if found else f"holds no {LABELS}"
    raise UserMistake(
        f"eval intent: {directory} {problem}; name the folder of recordings and labels, such as "
        "shared/audio/barista"
    )


def _recording(folder: Path, stem: str) -> Path | None:
    paths = (folder / f"{stem}{suffix}" for suffix in ("", *SUFFIXES))
    return next((path for path in paths if isfile(path)), None)


def _slot(slot: SlotSpec) -> _Slot:
    values = {plain(choice.value): choice.value for choice in slot.choices}
    for choice in slot.choices:
        for phrase in choice.phrases:
            for words in expand_leniently(phrase):
                values.setdefault(" ".join(words), choice.value)
    return _Slot(slot.name, values)


def plain(name: str) -> str:
    """Words in lower case: "coffeeDrink" and "coffee_drink" give "coffee drink"."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)
    return " ".join(word for token in tokenize(apart) for word in token.words)


def meaning_of(
    interpretation: Interpretation, expectation: Expectation
) -> tuple[str | None, dict[str, str]]:
    """(intent, slots) that the dialogue acts on.

    Slots that come without an intent fill the form that asks for them: where only one intent is
    waited for, that is what they mean.
    """
    slots = {
        slot.name: slot.value if _is_choice(slot.name, expectation) else plain(slot.value)
        for slot in interpretation.slots
    }
    intent = interpretation.intent
    if intent is None and slots and len(expectation.intents) == 1:
        intent = expectation.intents[0].name
    return intent, slots


def _is_choice(name: str, expectation: Expectation) -> bool:
    return any(slot.name == name and slot.choices for slot in expectation.slots)
