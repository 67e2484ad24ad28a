"""Intents and slots are measured from files: figures that can be checked by hand."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from voicebot.cli import main
from voicebot.evaluation import nlu, slots
from voicebot.evaluation.nlu_files import read_intents, read_sentences, read_spans
from voicebot.evaluation.nlu_noise import Corruptor, error_rate, spoken_words
from voicebot.evaluation.nlu_result import Outside

pytestmark = pytest.mark.unit

THINGS = ("card", "phone", "parcel", "ticket", "account")
FRAMES = ("where is my {}", "I lost my {} yesterday", "please send me a new {}", "my {} is broken")


def intent_file(path: Path, frames: tuple[str, ...] = FRAMES) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "category"])
        writer.writerows([[f.format(t), f"about_{t}"] for t in THINGS for f in frames])
    return path


def slot_file(path: Path, people: range) -> Path:
    items = [
        {
            "userInput": {"text": f"{n} of us"},
            "context": {"requestedSlots": ["people"]},
            "labels": [{"slot": "people", "valueSpan": {"endIndex": len(str(n))}}],
        }
        for n in people
    ]
    path.write_text(json.dumps([*items, {"userInput": {"text": "no thanks"}}] * 2))
    return path


# ---------------------------------------------------------------- noise


def test_noise_has_the_rate_asked_for() -> None:
    said = [f"{frame.format(thing)} and so on" for frame in FRAMES for thing in THINGS] * 40
    for rate in (0.0, 0.15, 0.3):
        corruptor = Corruptor(said, seed=1)
        heard = [corruptor.corrupt(text, rate) for text in said]
        assert error_rate(said, heard) == pytest.approx(rate, abs=0.02)


def test_a_word_is_taken_for_one_that_sounds_like_it() -> None:
    corruptor = Corruptor(["card car cart guard transfer balance opening weather"], seed=2)
    heard = {word for _ in range(200) for word in corruptor.corrupt("card", 1.0).split()}
    assert heard & {"car", "cart", "guard"}
    assert "weather" not in heard


def test_the_same_seed_makes_the_same_errors() -> None:
    one, other = (Corruptor(["where is my card"], seed=3) for _ in range(2))
    assert [one.corrupt("where is my card", 0.5) for _ in range(9)] == [
        other.corrupt("where is my card", 0.5) for _ in range(9)
    ]


def test_error_rate_counts_every_kind_of_error() -> None:
    assert spoken_words("I paid $5") == ["i", "paid", "five", "dollars"]
    assert error_rate(["a b c d"], ["a x c d e"]) == 0.5
    assert error_rate(["a b"], [""]) == 1.0


# ---------------------------------------------------------------- figures


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    assert Outside([0.9, 0.8], [0.1, 0.2]).auroc == 1.0
    assert Outside([0.1], [0.9]).auroc == 0.0
    assert Outside([0.5, 0.5], [0.5]).auroc == 0.5
    rng = np.random.default_rng(0)
    inside, outside = rng.random(40).round(1), rng.random(30).round(1)
    pairs = [(a > b) + 0.5 * (a == b) for a in inside for b in outside]
    assert Outside(list(inside), list(outside)).auroc == pytest.approx(np.mean(pairs))


def test_intents_are_measured_on_the_test_file(tmp_path: Path) -> None:
    train = intent_file(tmp_path / "train.csv")
    test = intent_file(tmp_path / "test.csv", ("my {} please", "what about the {}"))
    result = nlu.run(train=train, test=test, quick=True)
    found = result.as_dict()
    assert found["accuracy"] == 1.0
    assert found["accuracy_10_shot"] == 1.0
    assert (found["questions"], found["intents"]) == (10, 5)
    assert found["train_s"] > 0
    assert found["ms_per_utterance"] > 0
    assert 0.0 <= found["accuracy_noisy"] <= 1.0
    assert set(found["oos_auroc_far"]) == {"other lines"}
    picture = tmp_path / "nlu.png"
    result.plot(picture)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert "10 examples per intent" in result.table()


def test_wrong_answers_lower_the_figures(tmp_path: Path) -> None:
    train = intent_file(tmp_path / "train.csv")
    test = tmp_path / "test.csv"
    test.write_text("text,category\nwhere is my card,about_phone\nwhere is my card,about_card\n")
    assert nlu.run(train=train, test=test, quick=True).accuracy == 0.5


def test_f1_counts_exact_spans_only(tmp_path: Path) -> None:
    train, test = tmp_path / "train.json", tmp_path / "test.json"
    slot_file(train, range(1, 20))
    items = [
        {
            "userInput": {"text": "7 of us"},
            "context": {"requestedSlots": ["people"]},
            "labels": [{"slot": "people", "valueSpan": {"startIndex": 0, "endIndex": end}}],
        }
        for end in (1, 4)  # the second is marked otherwise than it was taught
    ]
    test.write_text(json.dumps(items))
    found = slots.run(train=train, test=test).as_dict()
    assert found["f1"] == 0.5
    assert found["f1_of"] == {"people": 0.5}


def test_the_command_prints_one_json_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = slot_file(tmp_path / "train.json", range(1, 20))
    test = slot_file(tmp_path / "test.json", range(20, 24))
    picture = tmp_path / "slots.png"
    files = ["--train", str(train), "--test", str(test), "-o", str(picture)]
    assert main(["eval", "slots", *files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == 1.0
    assert picture.exists()


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "columns text and category"),
        ("sentence,meaning\na,b\n", "columns text and category"),
        ("text,category\n", "no sentences"),
        ("text,category\nhello,\n", ":2: a sentence without category"),
    ],
)
def test_mistakes_in_intent_files_are_named(
    tmp_path: Path, text: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert main(["eval", "nlu", "--train", str(path), "--test", str(path)]) == 2
    assert what in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "is not JSON"),
        ("[]", "a JSON list"),
        ('{"a": 1}', "a JSON list"),
        ('[{"text": "hello"}]', "item 1"),
        ('[{"userInput": {"text": "a"}, "labels": [{"slot": "x"}]}]', "item 1"),
        (
            '[{"userInput": {"text": "a"}, '
            '"labels": [{"slot": "x", "valueSpan": {"endIndex": 9}}]}]',
            "item 1",
        ),
    ],
)
def test_mistakes_in_slot_files_are_named(
    tmp_path: Path, text: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    assert main(["eval", "slots", "--train", str(path), "--test", str(path)]) == 2
    assert what in capsys.readouterr().err


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "nlu", "--train", "none.csv", "--test", "none.csv"]) == 2
    assert "none.csv: there is no such file" in capsys.readouterr().err


def test_sentences_are_read_from_any_of_the_files(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("one\n\n two \n")
    assert read_sentences(lines) == ["one", "two"]
    assert len(read_sentences(intent_file(tmp_path / "i.csv"))) == len(
        read_intents(tmp_path / "i.csv")
    )
    assert "no thanks" in read_sentences(slot_file(tmp_path / "s.json", range(2)))
    assert read_spans(tmp_path / "s.json")[0].asked == ("people",)
