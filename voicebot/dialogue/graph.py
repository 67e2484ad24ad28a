"""A plan as a picture: one box per form with its fields and its ways out, arrows to forms and
endings. SVG without scripts; each place carries `data-state`, so that coverage can be painted.

The layout is layered: a form stands in the column of its distance from the start, in the mean
height of the forms that lead to it. Arrows that lead back run in lanes under the boxes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicebot.dialogue import inherit
from voicebot.dialogue.flow import PLAN, Edge, edges
from voicebot.dialogue.graph_calls import (
    EXTRA_WIDTH,
    STYLE,
    Calls,
    CallWay,
    arrow,
    count,
    row_bar,
    row_figures,
    xml_text,
)
from voicebot.dialogue.graph_calls import notes as call_notes
from voicebot.dialogue.schema import FieldKeys, FormKeys, PlanKeys

if TYPE_CHECKING:
    from voicebot.dialogue.plan import Plan

ROW = 20
HEADER = 26
CHAR = 6.7  # mean width of a 12 px sans-serif character
COLUMN_GAP = 90
BOX_GAP = 28
MARGIN = 30
LANE = 12
MAX_CHARS = 44

_STYLE = """
text{font:12px Helvetica,Arial,sans-serif;fill:#1c2733}
.title{font-size:18px;font-weight:bold}.head{font-weight:bold;fill:#fff}.exit{fill:#51606f}
.box{fill:#fff;stroke:#33516f;stroke-width:1.4}.bar{fill:#33516f}.start .bar{fill:#1d7a4f}
.field{fill:#eef3f8}.end{fill:#f3f3f3;stroke:#7a7a7a}.goal{fill:#dff2e6;stroke:#1d7a4f}
.way{fill:none;stroke:#7f93a8;stroke-width:1.3}.noinput,.nomatch{stroke:#c08a2b}
.error{stroke:#b5483a}.anywhere{stroke:#b9b9d8;stroke-dasharray:4 3}
"""


@dataclass(slots=True)
class _Row:
    text: str
    state: str = ""
    target: str = ""  # of an exit: a node's name
    kind: str = ""


@dataclass(slots=True)
class _Node:
    name: str
    title: str
    css: str
    rows: list[_Row] = field(default_factory=list)
    column: int = 0
    x: float = 0
    y: float = 0
    extra: float = 0  # room for figures

    @property
    def width(self) -> float:
        longest = max([len(self.title), *(len(row.text) for row in self.rows)])
        return max(90.0, min(longest, MAX_CHARS) * CHAR + 24) + self.extra

    @property
    def height(self) -> float:
        return HEADER + ROW * len(self.rows)


def draw(plan: Plan, ways: Iterable[CallWay] | None = None) -> str:
    """The plan as an SVG document, with the calls that went these `ways` painted on it."""
    nodes = _nodes(plan)
    calls = None
    if ways is not None:
        calls = count(plan.keys, ways, _drawn(nodes))
        for node in nodes.values():
            node.extra = EXTRA_WIDTH if node.name.startswith("form ") else 0
    _place(nodes, _starts(plan))
    arrows, depth = _arrows(nodes, calls)
    notes = [*(call_notes(calls) if calls is not None else ()), *_notes(plan.keys)]
    width = max(node.x + node.width for node in nodes.values()) + MARGIN + 20
    width = max(width, *(len(note) * CHAR + 2 * MARGIN for note in [plan.name, *notes]))
    top = depth + MARGIN
    height = top + ROW * len(notes) + MARGIN
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{xml_text(plan.name)}</title><style>{_STYLE}{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0L8,4L0,8z" fill="#7f93a8"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#fbfcfd"/>',
        f'<text class="title" x="{MARGIN}" y="{MARGIN}">{xml_text(plan.name)}</text>',
        *arrows,
        *(_box(node, calls) for node in nodes.values()),
        *(_text(note, MARGIN, top + ROW * row, "exit", 200) for row, note in enumerate(notes, 1)),
        "</svg>",
    ]
    return "\n".join(body) + "\n"


# ---------------------------------------------------------------- what is drawn


def _nodes(plan: Plan) -> dict[str, _Node]:
    ways = [edge for edge in edges(plan.keys) if edge.form != PLAN and edge.kind != "anywhere"]
    nodes = {
        f"form {name}": _form_node(plan, name, form, [way for way in ways if way.form == name])
        for name, form in plan.forms.items()
    }
    for way in ways:
        if way.outcome:
            css = "goal" if way.is_goal else "end"
            title = f"transfer: {way.outcome}" if way.is_transfer else way.outcome
            nodes.setdefault(_target(way), _Node(_target(way), title, css))
    return nodes


def _form_node(plan: Plan, name: str, form: FormKeys, ways: list[Edge]) -> _Node:
    css = "form start" if name in _starts(plan) else "form"
    node = _Node(f"form {name}", f"{name} (anywhere)" if form.anywhere else name, css)
    if form.prompt and form.fields:
        node.rows.append(_Row("open question", name, kind="field"))
    for field_name, field_keys in form.fields.items():
        text = _field_text(field_name, field_keys)
        node.rows.append(_Row(text, f"{name}/{field_name}", kind="field"))
        node.rows.extend(_exits(way for way in ways if way.field == field_name))
    if form.review is not None:
        node.rows.append(_Row("review", f"{name}/review", kind="field"))
    node.rows.extend(_exits(way for way in ways if not way.field))
    return node


def _field_text(name: str, keys: FieldKeys) -> str:
    optional = ", optional" if keys.optional else ""
    return f"{name}: {inherit.slot_type(keys).value}{optional}"


def _exits(ways: Iterable[Edge]) -> list[_Row]:
    rows: dict[str, _Row] = {}
    for way in ways:
        label = way.label or ("done" if way.kind in {"step", "end"} else way.kind)
        kind = "error" if label.endswith("failed") else way.kind
        row = rows.setdefault(_target(way), _Row("", target=_target(way), kind=kind))
        row.text = f"{row.text}, {label}" if row.text else label
        row.kind = row.kind if row.kind == kind else "step"
    return list(rows.values())


def _target(way: Edge) -> str:
    return f"form {way.target}" if way.target else f"end {way.outcome} {way.is_goal}"


def _notes(keys: PlanKeys) -> list[str]:
    """What holds everywhere, in words: arrows from every box would hide the rest."""
    notes = []
    for name, form in keys.forms.items():
        if form.anywhere:
            notes.append(f"'{name}' can be asked for anywhere and returns to where it was.")
    for way in edges(keys):
        if way.form == PLAN:
            where = f"form {way.target}" if way.target else way.outcome
            notes.append(f"Everywhere: {way.label} leads to {where}.")
    return notes


# ---------------------------------------------------------------- where it is drawn


def _starts(plan: Plan) -> list[str]:
    """Where calls begin: by day, and when closed."""
    hours = plan.keys.hours
    return [plan.start, *([hours.closed] if hours is not None and hours.closed else [])]


def _place(nodes: dict[str, _Node], starts: list[str]) -> None:
    _set_columns(nodes, [f"form {start}" for start in starts])
    columns: dict[int, list[_Node]] = {}
    for node in nodes.values():
        columns.setdefault(node.column, []).append(node)
    x = float(MARGIN)
    for number in sorted(columns):
        column = columns[number]
        wanted = {node.name: _mean_height(node, nodes) for node in column}
        column.sort(key=lambda node: wanted[node.name])
        y = float(MARGIN + 24)
        for node in column:
            node.x, node.y = x, y
            y += node.height + BOX_GAP
        x += max(node.width for node in column) + COLUMN_GAP


def _set_columns(nodes: dict[str, _Node], starts: list[str]) -> None:
    distance = dict.fromkeys(starts, 0)
    queue = list(starts)
    while queue:
        name = queue.pop(0)
        for row in nodes[name].rows:
            if row.target in nodes and row.target not in distance:
                distance[row.target] = distance[name] + 1
                queue.append(row.target)
    forms = [distance.get(name, 1) for name in nodes if name.startswith("form ")]
    for name, node in nodes.items():
        is_form = name.startswith("form ")
        node.column = distance.get(name, 1) if is_form else max(forms) + 1


def _mean_height(node: _Node, nodes: dict[str, _Node]) -> float:
    heights = [
        other.y + HEADER + ROW * index
        for other in nodes.values()
        if other.column < node.column
        for index, row in enumerate(other.rows)
        if row.target == node.name
    ]
    return sum(heights) / len(heights) if heights else 0.0


def _arrows(nodes: dict[str, _Node], calls: Calls | None) -> tuple[list[str], float]:
    """Paths, and how far down the picture reaches."""
    bottom = max(node.y + node.height for node in nodes.values())
    lane = bottom + 10
    paths: list[str] = []
    for node in nodes.values():
        for index, row in enumerate(node.rows):
            target = nodes.get(row.target)
            if target is None:
                continue
            x1, y1 = node.x + node.width, node.y + HEADER + ROW * (index + 0.5)
            x2, y2 = target.x, target.y + HEADER / 2
            if target.column > node.column:
                bend = max(40.0, (x2 - x1) / 2)
                d = f"M{x1:.0f},{y1:.0f}C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} "
                d += f"{x2:.0f},{y2:.0f}"
                paths.append(_path(d, row.kind, node, target, calls, (x1, y1)))
                continue
            lane += LANE
            out, back = x1 + 12 + lane % 30, max(8.0, x2 - 12 - lane % 24)
            d = f"M{x1:.0f},{y1:.0f}H{out:.0f}V{lane:.0f}H{back:.0f}V{y2:.0f}H{x2:.0f}"
            paths.append(_path(d, row.kind, node, target, calls, (x1, y1)))
    return paths, lane


def _path(
    d: str,
    kind: str,
    node: _Node,
    target: _Node,
    calls: Calls | None,
    start: tuple[float, float],
) -> str:
    plain = f'<path class="way {kind}" d="{d}" marker-end="url(#tip)"/>'
    if calls is None:
        return plain
    css, taken = arrow(calls, node.name.removeprefix("form "), _goal(target))
    if not taken:
        return plain.replace(f"way {kind}", f"way {css}")
    x, y = start
    number = f'<text class="calls" x="{x + 5:.0f}" y="{y - 4:.0f}">{taken}</text>'
    return f'<path class="{css}" d="{d}"/>{plain}{number}'


def _goal(node: _Node) -> str:
    """A node as the ways of calls name it."""
    if node.name.startswith("form "):
        return node.name.removeprefix("form ")
    return node.name.rpartition(" ")[0]  # "end OUTCOME", without whether that is a goal


def _drawn(nodes: dict[str, _Node]) -> set[str]:
    forms = [node for node in nodes.values() if node.name.startswith("form ")]
    return {node.name.removeprefix("form ") for node in forms} | {
        row.state for node in forms for row in node.rows if row.state
    }


# ---------------------------------------------------------------- shapes


def _box(node: _Node, calls: Calls | None) -> str:
    x, y, width = node.x, node.y, node.width
    if not node.rows and node.css in {"end", "goal"}:
        return (
            f'<g><rect class="{node.css}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" '
            f'height="{HEADER}" rx="13"/>{_text(node.title, x + 12, y + 17)}</g>'
        )
    state = node.name.removeprefix("form ")
    parts = [
        f'<g class="{node.css}" data-state="{xml_text(state)}">',
        f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" '
        f'height="{node.height:.0f}" rx="4"/>',
        f'<rect class="bar" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{HEADER}" rx="4"/>',
        _text(node.title, x + 12, y + 17, "head"),
    ]
    has_own_row = any(row.state == state for row in node.rows)
    if calls is not None and not has_own_row:
        parts.append(row_figures(calls, state, x + width - 8, y + 17, css=" head"))
    for index, row in enumerate(node.rows):
        top = y + HEADER + ROW * index
        if row.kind == "field" and not row.target:
            parts.append(
                f'<rect class="field" data-state="{xml_text(row.state)}" x="{x + 1:.0f}" '
                f'y="{top + 1:.0f}" width="{width - 2:.0f}" height="{ROW - 2}"/>'
            )
        if calls is not None and row.state and not row.target:
            parts.append(row_bar(calls, row.state, x + 1, top + ROW - 4, width - 2))
            parts.append(row_figures(calls, row.state, x + width - 8, top + 13))
        parts.append(_text(row.text, x + 12, top + 14, "exit" if row.target else ""))
    return "".join([*parts, "</g>"])


def _text(text: str, x: float, y: float, css: str = "", max_chars: int = MAX_CHARS) -> str:
    short = text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"
    title = f"<title>{xml_text(text)}</title>" if short != text else ""
    name = f' class="{css}"' if css else ""
    return f'<text{name} x="{x:.0f}" y="{y:.0f}">{xml_text(short)}{title}</text>'
