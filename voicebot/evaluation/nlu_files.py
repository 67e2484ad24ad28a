"""Files of labelled sentences: Banking77's CSV, Restaurants-8k's JSON, plain lists."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from voicebot.errors import UserMistake
from voicebot.evaluation.text_files import parse_json, read_text
from voicebot.nlu.spans import MarkedSentence, Span

Examples = list[tuple[str, str]]
WANTED = "a file of labelled sentences"


def read_intents(path: Path) -> Examples:
    """(sentence, intent) of each row of a CSV with the columns text and category.

    UserMistake where the file or a row is not like that.
    """
    rows = csv.DictReader(read_text(path, wanted=WANTED).splitlines(keepends=True))
    columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
    text = columns.get("text")
    category = columns.get("category") or columns.get("intent") or columns.get("label")
    if text is None or category is None:
        found = ", ".join(rows.fieldnames or ()) or "none"
        raise UserMistake(f"{path}:1: columns text and category are needed; found: {found:.60}")
    examples = []
    for row in rows:
        sentence, intent = (row[text] or "").strip(), (row[category] or "").strip()
        if sentence and not intent:
            raise UserMistake(f"{path}:{rows.line_num}: a sentence without category; add one")
        if sentence:
            examples.append((sentence, intent))
    if not examples:
        raise UserMistake(f"{path}: no sentences; a row is a text and its category")
    return examples


def read_spans(path: Path) -> list[MarkedSentence]:
    """The sentences of a JSON list in Restaurants-8k's format; UserMistake where it is not."""
    items = parse_json(path, read_text(path, wanted=WANTED))
    if not isinstance(items, list) or not items:
        raise UserMistake(f"{path}: a JSON list of sentences is needed, as in Restaurants-8k")
    return [_marked(path, number, item) for number, item in enumerate(items, 1)]


def _marked(path: Path, number: int, item: Any) -> MarkedSentence:
    try:
        text = item["userInput"]["text"]
        labels = item.get("labels") or []
        spans = [
            Span(
                int(label["valueSpan"].get("startIndex", 0)),  # left out where it is 0
                int(label["valueSpan"]["endIndex"]),
                str(label["slot"]),
            )
            for label in labels
        ]
        asked = (item.get("context") or {}).get("requestedSlots") or []
        if not isinstance(text, str) or any(not 0 <= s.start < s.end <= len(text) for s in spans):
            raise ValueError(text)
        return MarkedSentence(text, tuple(sorted(set(spans))), tuple(str(slot) for slot in asked))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserMistake(
            f"{path}: item {number} is not like Restaurants-8k's: userInput.text, labels of "
            "slot and valueSpan within the text, context.requestedSlots"
        ) from None


def read_sentences(path: Path) -> list[str]:
    """Sentences of any of these files, or the lines of a text file."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        found = [marked.text for marked in read_spans(path)]
    elif suffix == ".csv":
        found = [sentence for sentence, _ in read_intents(path)]
    else:
        found = [line.strip() for line in read_text(path, wanted=WANTED).splitlines()]
    found = [sentence for sentence in found if sentence]
    if not found:
        raise UserMistake(f"{path}: no sentences; one a line is needed")
    return found
