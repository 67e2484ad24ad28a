"""Real calls painted on a plan's picture: how often each place was visited, left and not
understood, and how many calls went each way.

A call is a sequence of places where the dialogue waited. Forms that never wait are not among
them: they are found on the shortest way between those that do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from voicebot.dialogue.flow import PLAN, edges, waits
from voicebot.dialogue.schema import PlanKeys

EXTRA_WIDTH = 230
"""Room for figures beside a row's text, in px."""
THINNEST, WIDEST = 1.0, 11.0
BAD_RATE = 0.15
"""More noinput and nomatch than this at a place is shown in red."""

STYLE = """
.calls{font-size:10px;fill:#51606f}.bad{fill:#b5261e;font-weight:bold}.head.calls{fill:#fff}
.used{fill:none;stroke:#2f6fb5;stroke-opacity:.55;stroke-linecap:round}
.unused{stroke:#d3dae1;stroke-dasharray:2 4}.share{fill:#bcd6f2}
"""

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Text as it stands in XML, which has no control characters."""
    return escape(_NO_XML.sub("", text))


@dataclass(frozen=True, slots=True)
class CallWay:
    """One call, turn by turn: (place, "speech", "dtmf" or "noinput", whether understood, intent).

    `left_at`: where the dialogue waited at the end; "" where that is not known.
    """

    outcome: str
    is_goal: bool
    turns: Sequence[tuple[str, str, bool, str]]
    left_at: str = ""


@dataclass(slots=True)
class PlaceFigures:
    """Of one place; `left`: callers who hung up there."""

    visits: int = 0
    turns: int = 0
    noinput: int = 0
    nomatch: int = 0
    left: int = 0

    @property
    def missed_rate(self) -> float:
        """Share of the turns in which nothing was heard or understood."""
        return (self.noinput + self.nomatch) / self.turns if self.turns else 0.0


@dataclass(slots=True)
class Calls:
    """Figures of all calls, by place and by way (form to form, or to "end OUTCOME")."""

    count: int = 0
    goals: int = 0
    hung_up: int = 0
    places: dict[str, PlaceFigures] = field(default_factory=dict)
    ways: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)

    def at(self, place: str) -> PlaceFigures:
        """The figures of a place."""
        return self.places.setdefault(place, PlaceFigures())

    @property
    def most_visits(self) -> int:
        """Of the place visited most."""
        return max([1, *(figures.visits for figures in self.places.values())])

    @property
    def most_ways(self) -> int:
        """Calls on the way taken most."""
        return max([1, *self.ways.values()])


def count(keys: PlanKeys, calls: Iterable[CallWay], drawn: set[str]) -> Calls:
    """Add calls up. `drawn`: the places of the picture; what lies within one counts there."""
    found = Calls()
    routes = _Routes(keys)
    for call in calls:
        found.count += 1
        found.goals += call.is_goal
        found.outcomes[call.outcome] += 1
        has_hung_up = call.outcome == "hung_up"
        found.hung_up += has_hung_up
        visited = _count_turns(found, call, drawn)
        if not visited:
            continue
        if has_hung_up:
            found.at(visited[-1]).left += 1
        forms = [place.split("/")[0] for place in visited]
        for before, after in pairwise(forms):
            if before != after:
                _count_way(found, routes.between(before, after))
        if not has_hung_up and _went_by_itself(call):
            _count_way(found, [*routes.to_end(forms[-1], call.outcome), f"end {call.outcome}"])
    return found


def _went_by_itself(call: CallWay) -> bool:
    """The plan's own course ended the call: no ladder, nor a universal."""
    if not call.turns:
        return True
    *_, is_understood, intent = call.turns[-1]
    return is_understood and intent not in {"operator", "goodbye"}


def _count_turns(found: Calls, call: CallWay, drawn: set[str]) -> list[str]:
    """The places visited, in order; neighbors differ."""
    visited: list[str] = []
    last = [(call.left_at, "", True, "")] if call.left_at else []
    for state, by, is_understood, _ in (*call.turns, *last):
        place = state
        while place and place not in drawn:
            place = place.rpartition("/")[0]
        if not place:
            found.unknown.add(state)
            continue
        figures = found.at(place)
        if not visited or visited[-1] != place:
            visited.append(place)
            figures.visits += 1
        if by:
            figures.turns += 1
            figures.noinput += by == "noinput"
            figures.nomatch += by != "noinput" and not is_understood
    return visited


def _count_way(found: Calls, forms: Sequence[str]) -> None:
    for index, (before, after) in enumerate(pairwise(forms)):
        found.ways[before, after] += 1
        if index:  # a form on the way, where the dialogue never waited
            found.at(before).visits += 1


class _Routes:
    """Shortest ways through forms that never wait for the caller."""

    def __init__(self, keys: PlanKeys) -> None:
        self._silent = {name for name, form in keys.forms.items() if not waits(form)}
        self._next: dict[str, list[str]] = {}
        self._ends: dict[str, set[str]] = {}
        for edge in edges(keys):
            if edge.form == PLAN:
                continue
            if edge.target:
                self._next.setdefault(edge.form, []).append(edge.target)
            elif edge.outcome:
                self._ends.setdefault(edge.form, set()).add(edge.outcome)

    def between(self, start: str, goal: str) -> list[str]:
        """Forms from `start` to `goal`; just these two where no way is drawn."""
        return self._search(start, lambda name: name == goal) or [start, goal]

    def to_end(self, start: str, outcome: str) -> list[str]:
        """Forms from `start` to one that ends with `outcome`."""
        if outcome in self._ends.get(start, set()):
            return [start]
        ends = {name for name, found in self._ends.items() if outcome in found} & self._silent
        return self._search(start, lambda name: name in ends) or [start]

    def _search(self, start: str, is_goal: Callable[[str], bool]) -> list[str]:
        paths, seen = [[start]], {start}
        while paths:
            path = paths.pop(0)
            for name in self._next.get(path[-1], ()):
                if is_goal(name):
                    return [*path, name]
                if name in self._silent and name not in seen:
                    seen.add(name)
                    paths.append([*path, name])
        return []


# ---------------------------------------------------------------- painting


def row_figures(calls: Calls, place: str, right: float, top: float, *, css: str = "") -> str:
    """Figures at the right end of a row, and their long form for who points at it."""
    figures = calls.places.get(place)
    if figures is None:
        return ""
    parts = [str(figures.visits)]
    if figures.nomatch:
        parts.append(f"{figures.nomatch / figures.turns:.0%} nomatch")
    if figures.noinput:
        parts.append(f"{figures.noinput / figures.turns:.0%} silent")
    bad = " bad" if figures.missed_rate > BAD_RATE else ""
    gone = ""
    if figures.left:
        share = figures.left / max(1, figures.visits)
        gone = (
            f'<text class="calls bad{css}" x="{right:.0f}" y="{top:.0f}" text-anchor="end">'
            f"✕{figures.left} ({share:.0%})</text>"
        )
    title = (
        f"{place}: visited {figures.visits} times, {figures.turns} turns, nothing understood in "
        f"{figures.nomatch}, nothing heard in {figures.noinput}, left by {figures.left}"
    )
    text = xml_text(" · ".join(parts))
    return (
        f'<text class="calls{bad}{css}" x="{right - 62:.0f}" y="{top:.0f}" text-anchor="end">{text}'
        f"<title>{xml_text(title)}</title></text>{gone}"
    )


def row_bar(calls: Calls, place: str, x: float, top: float, width: float) -> str:
    """A bar as long as the place's share of the visits to the most visited one."""
    figures = calls.places.get(place)
    if figures is None or not figures.visits:
        return ""
    long = max(2.0, width * figures.visits / calls.most_visits)
    return f'<rect class="share" x="{x:.0f}" y="{top:.0f}" width="{long:.1f}" height="3"/>'


def arrow(calls: Calls, source: str, target: str) -> tuple[str, str]:
    """Class and attributes of an arrow, by how many calls took it, and the number to write."""
    taken = calls.ways.get((source, target), 0)
    if not taken:
        return "unused", ""
    width = THINNEST + (WIDEST - THINNEST) * taken / calls.most_ways
    return f'used" stroke-width="{width:.1f}', str(taken)


def notes(calls: Calls) -> list[str]:
    """What is said below the picture."""
    if not calls.count:
        return ["The journal holds no calls of this plan that have ended."]
    outcomes = ", ".join(f"{name} {number}" for name, number in calls.outcomes.most_common(8))
    found = [
        f"{calls.count} calls: {calls.goals / calls.count:.0%} reached a goal, "
        f"{calls.hung_up / calls.count:.0%} hung up. Outcomes: {outcomes}.",
        "At each place: visits, turns in which nothing was understood (nomatch) or heard (silent); "
        "✕ callers who hung up there. Arrows are as wide as calls took them; dotted: none.",
    ]
    if calls.unknown:
        names = ", ".join(sorted(calls.unknown)[:6])
        found.append(f"Places of the journal that this plan has not (any more): {names}.")
    return found
