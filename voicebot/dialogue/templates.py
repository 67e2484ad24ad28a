"""Prompts with values: `"One [{{ size }}] {{ drink }}. That is {{ price | money }}."`

`{{ name }}` speaks a slot or variable, `{{ name | kind }}` says how, `{{ name | kind | slow }}` at
which pace; `{{ pause 500ms }}` is a silence. A part in `[...]` is
spoken only when every value in it is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from voicebot.events import Say, SlotType

KINDS = frozenset({kind.value for kind in SlotType} | {"money", "ordinal", "spell"}) - {"choice"}
PACES = ("slow", "emphasis")
LONGEST_PAUSE_MS = 10_000

_MARK = re.compile(r"\{\{(?P<inside>.*?)\}\}|(?P<bracket>[\[\]])|(?P<stray>\{\{|\}\})", re.DOTALL)
_INSIDE = re.compile(
    r"\s*(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*(?:\|\s*(?P<kind>\w+)\s*)?"
    r"(?:\|\s*(?P<pace>slow|emphasis)\s*)?",
    re.ASCII,
)
_PAUSE = re.compile(r"\s*pause\s+(?P<number>\d+(?:\.\d+)?) ?(?P<unit>ms|s)\s*", re.ASCII)

Parts = tuple[str | Say, ...]


class TemplateError(ValueError):
    """What is wrong with a prompt, and how to mend it."""


@dataclass(frozen=True, slots=True)
class Value:
    """`{{ name | kind | pace }}`; kind None: as the slot's type says."""

    name: str
    kind: str | None = None
    pace: Literal["", "slow", "emphasis"] = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed prompt: text and values, and optional groups of them."""

    nodes: tuple[str | Value | Say | Template, ...]

    @property
    def values(self) -> tuple[Value, ...]:
        """All values, those of optional groups too."""
        return tuple(_walk(self, inside_groups=True))

    @property
    def needed(self) -> tuple[Value, ...]:
        """The values outside optional groups."""
        return tuple(_walk(self, inside_groups=False))

    def render(self, speak: Callable[[Value], Say | str | None]) -> Parts:
        """Parts to speak; `speak` gives a value's part, None when it has no value."""
        parts: list[str | Say] = []
        _render(self, speak, parts)
        return tidy(parts)


def _walk(template: Template, *, inside_groups: bool) -> list[Value]:
    found: list[Value] = []
    for node in template.nodes:
        if isinstance(node, Value):
            found.append(node)
        elif isinstance(node, Template) and inside_groups:
            found.extend(_walk(node, inside_groups=True))
    return found


def _render(
    template: Template, speak: Callable[[Value], Say | str | None], parts: list[str | Say]
) -> None:
    for node in template.nodes:
        if isinstance(node, str | Say):
            parts.append(node)
        elif isinstance(node, Value):
            said = speak(node)
            if said is not None:
                parts.append(said)
        elif all(speak(value) is not None for value in node.values):
            _render(node, speak, parts)


def tidy(parts: list[str | Say]) -> Parts:
    """Neighbouring texts joined, spaces single; `"".join` of the spoken parts is the prompt."""
    joined: list[str | Say] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    cleaned = [_clean(part) if isinstance(part, str) else part for part in joined]
    if cleaned and isinstance(cleaned[0], str):
        cleaned[0] = cleaned[0].lstrip()
    if cleaned and isinstance(cleaned[-1], str):
        cleaned[-1] = cleaned[-1].rstrip()
    return tuple(part for part in cleaned if part != "")


def priced(currency: str, text: str, kind: str) -> str:
    """An amount with its currency, where that is not what voices say anyway: dollars."""
    is_bare = kind in {"money", "amount"} and re.fullmatch(r"-?\d+(\.\d+)?", text) is not None
    return f"{text} {currency}" if is_bare and currency != "USD" else text


def _clean(text: str) -> str:
    return re.sub(r" (?=[,.!?;:])", "", re.sub(r"\s+", " ", text))


@lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """Parse a prompt; TemplateError says what is wrong."""
    outer: list[str | Value | Say | Template] = []
    group: list[str | Value | Say | Template] | None = None
    position = 0
    for match in _MARK.finditer(text):
        nodes = outer if group is None else group
        if match.start() > position:
            nodes.append(text[position : match.start()])
        position = match.end()
        if match["stray"]:
            raise TemplateError(f"{match['stray']!r} without its counterpart")
        if match["inside"] is not None:
            nodes.append(_parse_value(match["inside"]))
        elif match["bracket"] == "[":
            if group is not None:
                raise TemplateError("'[' inside '[...]'; optional parts do not nest")
            group = []
        else:
            outer.append(_close_group(group))
            group = None
    if group is not None:
        raise TemplateError("'[' is never closed")
    outer.extend([text[position:]] if text[position:] else [])
    return Template(tuple(outer))


def _close_group(group: list[str | Value | Say | Template] | None) -> Template:
    if group is None:
        raise TemplateError("']' without '['")
    if not any(isinstance(node, Value) for node in group):
        raise TemplateError(
            "'[...]' holds no {{ value }}; it marks a part spoken only when its values are known"
        )
    return Template(tuple(group))


def _parse_value(inside: str) -> Value | Say:
    pause = _PAUSE.fullmatch(inside)
    if pause is not None:
        ms = round(float(pause["number"]) * (1 if pause["unit"] == "ms" else 1000))
        if not 0 < ms <= LONGEST_PAUSE_MS:
            raise TemplateError(f"a pause lasts up to {LONGEST_PAUSE_MS // 1000} s")
        return Say(str(ms), "pause")
    match = _INSIDE.fullmatch(inside)
    if match is None:
        raise TemplateError(
            f"cannot read {{{{{inside}}}}}; write {{{{ name }}}} or {{{{ name | money }}}}"
        )
    kind, pace = match["kind"], match["pace"] or ""
    if kind in PACES:
        if pace:
            raise TemplateError(
                f"cannot read {{{{{inside}}}}}; one of {', '.join(PACES)} is enough"
            )
        kind, pace = None, kind
    return Value(match["name"], kind, pace)  # type: ignore[arg-type]  # the pattern says so
