"""A plan's YAML text as plain values, with the line of each key.

YAML 1.2's core schema: only `true` and `false` are booleans, so that `yes`, `no` and `on`
stay words. Anchors and merge keys work, within bounds that no alias bomb fits into.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 40
MAX_VALUES = 20_000
SCENARIOS = ".test.yaml"
"""Files of scenarios are named so."""

Key = tuple[str | int, ...]
"""Where a value stands: keys and list positions from the top."""

_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a plan: what, where, how to mend it. Warnings do not stop a plan."""

    path: str
    line: int
    message: str
    is_warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.is_warning else ""
        return f"{self.path}:{self.line}: {kind}{self.message}"


@dataclass(slots=True)
class Source:
    """A file's values; `lines` gives each key's line (1-based); `problems` what is not YAML."""

    path: str
    data: object = None
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, key: Key) -> int:
        """Line of a key, or of the nearest enclosing one."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)

    def report(self, key: Key, message: str, *, is_warning: bool = False) -> None:
        """Add a problem at a key."""
        self.problems.append(Problem(self.path, self.line(key), message, is_warning))


class _Refused(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def read_source(path: Path | str) -> Source:
    """Read a plan file; every fault becomes a problem, none an exception."""
    source = Source(str(path))
    text = _read_text(source, Path(path))
    if text is None:
        return source
    return parse_source(text, source)


def parse_source(text: str, source: Source) -> Source:
    """Parse YAML text into `source`."""
    try:
        _check_size(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise _Refused(
                1, f"the file is empty; {_owner(source)} begins with {_first_key(source)}"
            )
        source.data = _Builder(source).build(root, (), 0)
    except _Refused as refused:
        source.problems.append(Problem(source.path, refused.line, str(refused)))
    except yaml.YAMLError as error:
        source.problems.append(_yaml_problem(source.path, error, text))
    except RecursionError:
        source.problems.append(Problem(source.path, 1, f"nested deeper than {MAX_DEPTH} levels"))
    if not source.problems and not isinstance(source.data, dict):
        source.report(
            (), f"{_owner(source)} is a mapping of keys; it begins with {_first_key(source)}"
        )
    return source


def _owner(source: Source) -> str:
    return "a file of scenarios" if source.path.endswith(SCENARIOS) else "a plan"


def _first_key(source: Source) -> str:
    return "'scenarios:'" if source.path.endswith(SCENARIOS) else "'forms:'"


def _read_text(source: Source, path: Path) -> str | None:
    try:
        if path.is_dir():
            source.report((), "is a folder; name a plan file, such as dialplans/bank.yaml")
            return None
        if path.exists() and not path.is_file():
            source.report((), "is not a plain file")
            return None
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        source.report((), f"cannot be read: {reason}; check the path")
        return None
    if len(raw) > MAX_BYTES:
        source.report((), f"is larger than {MAX_BYTES // 1024} KiB; split it into smaller plans")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        source.problems.append(
            Problem(source.path, line, "is not UTF-8 text; save the file as UTF-8")
        )
        return None


def _check_size(text: str) -> None:
    """Refuse deep nesting before the composer, which recurses, sees it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.events.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise _Refused(line, f"nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.events.CollectionEndEvent):
            depth -= 1


def _yaml_problem(path: str, error: yaml.YAMLError, text: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else 1
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    written = (text.splitlines()[line - 1 : line] or [""])[0]
    if "'\\t'" in problem:
        problem = "a tab cannot indent YAML; use spaces"
    elif "mapping values are not allowed" in problem:
        problem = (
            "a ': ' too many; put text that holds a colon in quotes, or indent this key like its "
            "neighbors"
        )
    elif "but got '?'" in problem:
        problem = "text with '?' inside {...} or [...] must stand in quotes"
    elif "could not find expected ':'" in problem:
        problem = "a key without ':' (or text that continues without indentation)"
    elif "unexpected end of stream" in problem:
        context = getattr(error, "context_mark", None)
        line = context.line + 1 if context is not None else line
        problem = "a quote that is never closed; text with an apostrophe stands in double quotes"
    elif "cannot start any token" in problem:
        problem = f"text that begins with {problem.split()[2]} must stand in quotes"
    elif "expected <block end>" in problem and re.search(r"(: |- )\{\{", written):
        problem = "text that begins with '{{' must stand in quotes"
    elif "expected <block end>" in problem and "<scalar>" in problem:
        problem = "text goes on after its end; put all of it in quotes"
    elif "expected <block end>" in problem:
        problem = "this line is not indented like those that it belongs to"
    elif "expected ',' or" in problem:
        problem = "a quote, comma or bracket is missing here, or in the line before"
    elif "another document" in problem:
        problem = "a second document begins here ('---'); a file holds one plan"
    elif "undefined alias" in problem:
        problem = f"{problem}; text that begins with '*' must stand in quotes"
    elif isinstance(error, yaml.reader.ReaderError):
        problem = "holds a character that is not allowed in YAML"
    return Problem(path, line, f"not valid YAML: {problem}")


class _Builder:
    """Nodes to plain values; remembers lines, refuses duplicate keys and alias bombs."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.count = 0

    def build(self, node: yaml.Node, key: Key, depth: int) -> object:
        line = node.start_mark.line + 1
        self.count += 1
        if self.count > MAX_VALUES:
            raise _Refused(line, f"more than {MAX_VALUES} values (aliases counted each time)")
        if depth > MAX_DEPTH:
            raise _Refused(line, f"nested deeper than {MAX_DEPTH} levels")
        self.source.lines.setdefault(key, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key, depth)
        if isinstance(node, yaml.SequenceNode):
            return [
                self.build(item, (*key, index), depth + 1) for index, item in enumerate(node.value)
            ]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, key: Key, depth: int) -> dict[str, object]:
        own: dict[str, object] = {}
        merged: dict[str, object] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, yaml.ScalarNode):
                raise _Refused(line, "a key must be plain text")
            name = name_node.value
            if name == "<<" and name_node.style is None:
                self._merge(value_node, key, depth, merged)
                continue
            if name in own:
                first = self.source.lines[(*key, name)]
                self.source.problems.append(
                    Problem(
                        self.source.path,
                        line,
                        f"key {name!r} stands twice (first in line {first}); remove one",
                    )
                )
                continue
            self.source.lines[(*key, name)] = line
            own[name] = self.build(value_node, (*key, name), depth + 1)
        return {**merged, **own}

    def _merge(self, node: yaml.Node, key: Key, depth: int, into: dict[str, object]) -> None:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for part in nodes:
            if not isinstance(part, yaml.MappingNode):
                raise _Refused(node.start_mark.line + 1, "'<<' merges mappings only")
            values = self.build(part, key, depth + 1)
            assert isinstance(values, dict)
            into.update({name: value for name, value in values.items() if name not in into})


def _scalar(node: yaml.Node) -> object:
    text = str(node.value)
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return text
    if text.lower() in _CONSTANTS and text == text.lower():
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
