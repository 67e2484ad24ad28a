"""voicebot.evaluation.intent: the benchmark's mixing, labels in a plan's terms, what counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from voicebot.errors import UserMistake
from voicebot.evaluation import intent
from voicebot.evaluation.intent_labels import Requests, meaning_of
from voicebot.events import (
    Alternative,
    Choice,
    Expectation,
    Hypothesis,
    IntentSpec,
    Interpretation,
    SlotSpec,
    SlotType,
    SlotValue,
)

pytestmark = pytest.mark.unit

PLAN = """\
name: Kiosk
language: en
welcome: Hello.
forms:
  order:
    intent: orderDrink
    phrases: ["I want {hotDrink}"]
    prompt: What?
    fields:
      hotDrink:
        prompt: Which drink?
        choices: {tea: "(black|green) tea", coffee: "coffee"}
      cupSize:
        optional: true
        choices: {eight_ounce: "(eight|8) (ounce|oz)", large: "(large|big)"}
    filled:
      - say: Thanks.
        disconnect: done
"""
EXPECTED = Expectation(
    slots=(
        SlotSpec(
            "hotDrink",
            SlotType.CHOICE,
            (Choice("tea", ("(black|green) tea",)), Choice("coffee", ("coffee",))),
        ),
        SlotSpec("size", SlotType.CHOICE, (Choice("eight_ounce", ("(eight|8) oz",)),)),
    ),
    intents=(IntentSpec("orderDrink", ("I want {hotDrink}",)),),
)
SAID = {
    "one": ({"hot_drink": "tea", "cupSize": "eight ounce"}, "I want an eight ounce tea"),
    "two": ({"hotDrink": "coffee"}, "I want a coffee"),
    "three": ({"hotDrink": "coffee", "cupSize": "big"}, "a coffee"),
}


class Parrot:
    """Says what belongs to the length of what it hears."""

    def __init__(self, texts: dict[int, str]) -> None:
        self.texts = texts

    def transcribe(
        self, batch: Sequence[np.ndarray], *, nbest: int = 1, **_: object
    ) -> list[Hypothesis]:
        found = []
        for samples in batch:
            text = self.texts[round(len(samples) / 1600)]
            found.append(Hypothesis(text, (), 0.9, (Alternative(text, 0.9),)))
        return found


@pytest.fixture
def material(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "orders"
    folder.mkdir()
    labels = {}
    for number, (name, (slots, _)) in enumerate(SAID.items()):
        tenths = 10 + number
        sf.write(folder / f"{name}.flac", 0.1 * rng.standard_normal(1600 * tenths), 16000)
        labels[name] = {"intent": "orderDrink", "slots": slots}
    labels["gone"] = {"intent": "orderDrink", "slots": {}}
    (folder / "labels.json").write_text(json.dumps(labels))
    sf.write(tmp_path / "noise.flac", 0.1 * rng.standard_normal(48000), 16000)
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path


def parrot() -> Parrot:
    return Parrot({10 + number: text for number, (_, text) in enumerate(SAID.values())})


def test_an_item_counts_when_intent_and_every_slot_are_right(material: Path) -> None:
    result = intent.run(
        material,
        recogniser=parrot(),  # type: ignore[arg-type]
        dialplan=material / "plan.yaml",
        noise=material / "noise.flac",
        snrs_db=(6.0, 24.0),
    )
    found = result.as_dict()
    assert found["acceptance"] == {"6": 0.6667, "24": 0.6667}  # "three": its size was not heard
    assert found["mean"] == 0.6667
    assert found["intent_mean"] == 1.0
    assert found["items"] == 3
    assert found["known"] is None
    assert [wrong["file"] for wrong in found["wrong"]] == ["three.flac"] * 2  # type: ignore[attr-defined]
    assert json.loads(json.dumps(found)) == found
    assert "Dialogflow" in result.table()
    result.plot(material / "a.png")
    assert (material / "a.png").stat().st_size > 1000


def test_a_broken_recording_is_named_counted_and_left_out(material: Path) -> None:
    broken = material / "orders" / "two.flac"
    broken.write_bytes(b"fLaC")
    told: list[str] = []
    more = {"dialplan": material / "plan.yaml", "noise": material / "noise.flac"}
    result = intent.run(
        material, recogniser=parrot(), snrs_db=(6.0,), warn=told.append, **more,  # type: ignore[arg-type]
    )  # fmt: skip
    assert result.as_dict()["left_out"] == 1
    assert result.as_dict()["items"] == 2
    [line] = told
    assert str(broken) in line
    assert line.endswith("left out")
    for name in ("one", "three"):
        (material / "orders" / f"{name}.flac").write_bytes(b"")
    with pytest.raises(UserMistake, match="none of the recordings"):
        intent.run(material, recogniser=parrot(), warn=told.append, **more)  # type: ignore[arg-type]


def test_a_name_too_long_for_a_file_is_one_that_is_not_there(material: Path) -> None:
    labels = material / "orders" / "labels.json"
    known = json.loads(labels.read_text())
    labels.write_text(json.dumps(known | {"x" * 5000: {"intent": "orderDrink", "slots": {}}}))
    assert len(Requests(EXPECTED).read(material)) == 3


def test_the_folder_of_labels_or_its_parent(material: Path) -> None:
    requests = Requests(EXPECTED)
    assert len(requests.read(material)) == len(requests.read(material / "orders")) == 3
    with pytest.raises(UserMistake, match=r"holds no labels\.json"):
        requests.read(material / "orders" / "nothing")
    (material / "orders" / "labels.json").write_text("{")
    with pytest.raises(UserMistake, match="is not JSON"):
        requests.read(material)
    (material / "orders" / "labels.json").write_text('{"one": {"intent": 3}}')
    with pytest.raises(UserMistake, match="needs an"):
        requests.read(material)


def test_labels_find_their_slots_and_values_under_other_names(material: Path) -> None:
    labels = {
        "one": {"intent": "order_drink", "slots": {"HotDrink": "green tea", "size": "8 oz"}},
        "two": {"intent": "orderDrink", "slots": {"hotDrink": "cocoa", "milk": "some"}},
        "three": {"intent": "sing", "slots": {}},
    }
    (material / "orders" / "labels.json").write_text(json.dumps(labels))
    found = {request.path.stem: request for request in Requests(EXPECTED).read(material)}
    assert found["one"].intent == "orderDrink"
    assert found["one"].slots == {"hotDrink": "tea", "size": "eight_ounce"}
    assert found["one"].unknown == ()
    assert found["two"].unknown == ("hotDrink: cocoa", "slot milk")
    assert found["three"].unknown == ("intent sing",)


def test_slots_alone_mean_the_only_intent_asked_for() -> None:
    slots = (SlotValue("hotDrink", "tea"),)
    assert meaning_of(Interpretation(None, slots), EXPECTED) == ("orderDrink", {"hotDrink": "tea"})
    assert meaning_of(Interpretation("help", ()), EXPECTED) == ("help", {})
    assert meaning_of(Interpretation(), EXPECTED) == (None, {})


def test_noise_is_mixed_as_the_benchmark_does() -> None:
    rng = np.random.default_rng(1)
    speech = (0.2 * rng.standard_normal(8192)).astype(np.float32)
    noise = (0.02 * rng.standard_normal(20000)).astype(np.float32)
    both = intent.mixed(speech, noise, 6.0, seed=3)
    assert np.abs(both).max() == pytest.approx(0.5)
    gain = float(both @ speech / (speech @ speech))  # noise is independent of the speech
    rest = both / gain - speech
    powers = [np.square(s.reshape(-1, 2048)).sum(axis=1).max() for s in (speech, rest)]
    assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(6.0, abs=0.4)
    assert (intent.mixed(speech, noise, 6.0, seed=3) == both).all()
    assert len(intent.mixed(speech, noise[:100], 6.0, seed=3)) == len(speech)
    assert np.isfinite(intent.mixed(0 * speech, noise, 6.0, seed=3)).all()
