"""The picture of a plan: valid XML that shows every form, field and ending."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from voicebot.dialogue.graph import draw
from voicebot.dialogue.plan import load_plan

pytestmark = pytest.mark.unit

DIALPLANS = Path(__file__).parents[2] / "dialplans"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["bank", "barista", "clinic", "parcel", "voicemail"])
def test_everything_is_drawn(name: str) -> None:
    plan = load_plan(DIALPLANS / f"{name}.yaml")
    root = ElementTree.fromstring(draw(plan))
    states = {element.get("data-state") for element in root.iter() if element.get("data-state")}
    assert states >= {f"{form}/{field}" for form in plan.forms for field in plan.forms[form].fields}
    assert states >= set(plan.forms)
    texts = {text.text for text in root.iter(f"{SVG}text")}
    ends = {
        "bank": {"served", "transfer: agent"},
        "barista": {"ordered"},
        "clinic": {"served", "transfer: emergency"},
        "parcel": {"served", "callback"},
        "voicemail": {"message", "no_message", "transfer: on_duty"},
    }
    assert texts >= ends[name]
    for rect in root.iter(f"{SVG}rect"):
        if rect.get("width") != "100%":
            assert float(rect.get("x", "-1")) >= 0
            right = float(rect.get("x", "0")) + float(rect.get("width", "0"))
            assert right <= float(root.get("width", "0"))


def test_arrows_lead_from_each_way_out_to_its_target() -> None:
    root = ElementTree.fromstring(draw(load_plan(DIALPLANS / "bank.yaml")))
    arrows = [path for path in root.iter(f"{SVG}path") if "way" in path.get("class", "")]
    # 5 menu keys, balance 1, transfer 1, lost_card 2, hours 1, new_pin 4, anything_else 2.
    assert len(arrows) == 16


def test_text_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "name: <&\"'>\nforms:\n  a:\n    fields: {x: {type: number, prompt: 'X?'}}\n"
        "    filled: [{when: x < 5 and x > 1, disconnect: few}, {disconnect: many}]\n"
    )
    root = ElementTree.fromstring(draw(load_plan(path)))
    assert root.findtext(f"{SVG}title") == "<&\"'>"
    assert "x < 5 and x > 1" in {text.text for text in root.iter(f"{SVG}text")}


def test_control_characters_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "forms:\n  a:\n    fields: {x: {type: text, prompt: 'X?'}}\n"
        "    filled: [{when: \"x == 'b\\x07'\", disconnect: few}, {disconnect: many}]\n"
    )
    root = ElementTree.fromstring(draw(load_plan(path)))
    assert "x == 'b'" in {text.text for text in root.iter(f"{SVG}text")}
