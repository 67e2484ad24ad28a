"""Real calls on a plan's picture: figures at each place, arrows as wide as calls took them."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from voicebot.dialogue.graph import draw
from voicebot.dialogue.graph_calls import CallWay, count
from voicebot.dialogue.plan import Plan, load_plan

pytestmark = pytest.mark.unit

SVG = "{http://www.w3.org/2000/svg}"
PLAN = """\
forms:
  main:
    prompt: Order or hours?
    menu: [{goto: order, dtmf: 1}, {goto: hours, dtmf: 2}]
  order:
    fields:
      size: {type: text, prompt: "Which size?"}
      count: {type: number, confirm: always, prompt: "How many?"}
    filled: {goto: bye}
  bye: {enter: {disconnect: {outcome: ordered, goal: true}}}
  hours: {enter: {disconnect: told}}
"""
DRAWN = {"main", "order", "order/size", "order/count", "bye", "hours"}
SAID, NOMATCH, SILENT = ("speech", True, "x"), ("speech", False, ""), ("noinput", False, "")
ORDERED = CallWay(
    "ordered",
    True,
    [
        ("main", *NOMATCH),
        ("main", *SAID),
        ("order/size", *SAID),
        ("order/count", *SILENT),
        ("order/count", *SAID),
        ("order/count/confirm", *SAID),
    ],
)
GONE = CallWay("hung_up", False, [("main", *SAID)], left_at="order/size")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return load_plan(path)


def test_figures_of_places(plan: Plan) -> None:
    calls = count(plan.keys, [ORDERED, GONE], DRAWN)
    assert (calls.count, calls.goals, calls.hung_up) == (2, 1, 1)
    main = calls.places["main"]
    assert (main.visits, main.turns, main.nomatch, main.noinput) == (2, 3, 1, 0)
    size = calls.places["order/size"]
    assert (size.visits, size.turns, size.left) == (2, 1, 1)
    # A confirmation belongs to its field, and is no further visit.
    assert calls.places["order/count"].visits == 1
    assert calls.places["order/count"].missed_rate == pytest.approx(1 / 3)


def test_ways_lead_through_forms_that_never_wait(plan: Plan) -> None:
    calls = count(plan.keys, [ORDERED, GONE], DRAWN)
    assert dict(calls.ways) == {
        ("main", "order"): 2,
        ("order", "bye"): 1,
        ("bye", "end ordered"): 1,
    }
    assert calls.places["bye"].visits == 1


@pytest.mark.parametrize("last", [NOMATCH, SILENT, ("speech", True, "operator")])
def test_emergency_exits_are_not_the_plans_own_ways(
    plan: Plan, last: tuple[str, bool, str]
) -> None:
    calls = count(plan.keys, [CallWay("told", False, [("main", *last)])], DRAWN)
    assert dict(calls.ways) == {}
    assert calls.outcomes == {"told": 1}


def test_places_that_the_plan_no_longer_has(plan: Plan) -> None:
    calls = count(plan.keys, [CallWay("told", False, [("old/place", *SAID)])], DRAWN)
    assert calls.unknown == {"old/place"}
    assert calls.count == 1


def test_arrows_are_as_wide_as_calls_took_them(plan: Plan) -> None:
    root = ElementTree.fromstring(draw(plan, [ORDERED, GONE, GONE, GONE]))
    widths = [float(path.get("stroke-width", "0")) for path in root.iter(f"{SVG}path")]
    used = [path for path in root.iter(f"{SVG}path") if path.get("class") == "used"]
    assert len(used) == 3  # main to order, order to bye, bye to its end
    assert max(widths) == 11.0
    unused = [path for path in root.iter(f"{SVG}path") if "unused" in path.get("class", "")]
    assert len(unused) == 2  # to the hours, and their end
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert "✕3 (75%)" in texts
    assert any(text.startswith("4 · 20% nomatch") for text in texts)
    assert any(text.startswith("4 calls: 25% reached a goal, 75% hung up.") for text in texts)


def test_without_calls_nothing_is_painted(plan: Plan) -> None:
    plain = draw(plan)
    assert not re.search('class="(used|share|calls)', plain)
    assert "The journal holds no calls" in draw(plan, [])
