"""Readers, targets, examples, batches, losses and the trial, on recordings made here."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from voicebot.asr.checkpoint import Weights
from voicebot.asr.moonshine import BEGIN, END, Dimensions, Moonshine
from voicebot.asr.vocabulary import Vocabulary
from voicebot.errors import UserMistake
from voicebot.events import Alternative, Hypothesis
from voicebot.learning import asr_corpora, asr_exam, asr_labels, asr_network, asr_splits, asr_trial
from voicebot.learning.asr_channel import Chain, Telephone
from voicebot.learning.asr_config import Config, Data, Loss, Optimiser
from voicebot.learning.asr_examples import Example, Library, Source, usable
from voicebot.learning.asr_phrases import Texts
from voicebot.learning.asr_tokens import Encoder
from voicebot.learning.asr_trainer import LAST_RATE, rate_at
from voicebot.learning.asr_trial import Question

pytestmark = pytest.mark.unit

BYTES = [b"<unk>", b"<s>", b"</s>", *(bytes([byte]) for byte in range(256))]
TINY = Dimensions(width=32, inner=48, heads=2, encoder_layers=1, decoder_layers=1, vocabulary=259)


def tone(seconds: float, rate: int = 16000) -> NDArray[np.float32]:
    time = np.arange(int(seconds * rate)) / rate
    swell = np.sin(2 * np.pi * 2 * time) ** 2
    return np.asarray(0.2 * swell * np.sin(2 * np.pi * 300 * time), np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The recordings' layout with a few files."""
    calls, read = tmp_path / "phone_calls" / "00001", tmp_path / "read_sentences"
    for place in (
        calls,
        read,
        tmp_path / "digits",
        tmp_path / "alphanumeric",
        tmp_path / "barista",
    ):
        place.mkdir(parents=True)
    rows = [
        ("name", "[click] ann lee", "ann lee", False),
        ("keyword", "Operator", "operator", False),
        ("sentence", "Hi. Get me the Operator", "hi get me the operator", False),
        ("sentence", "get ((me)) it", "get me it", True),
    ]
    lines = []
    for number, (kind, transcription, text, unclear) in enumerate(rows):
        soundfile.write(calls / f"{number}.wav", tone(1.0, 8000), 8000, subtype="ULAW")
        lines.append({
            "file": f"00001/{number}.wav", "session": "00001", "kind": kind, "text": text,
            "transcription": transcription, "unclear": unclear,
        })  # fmt: skip
    lines.append({**lines[0], "file": "00001/missing.wav"})
    index = tmp_path / "phone_calls" / "transcripts.jsonl"
    index.write_text("\n".join(map(json.dumps, lines)))
    soundfile.write(read / "a.flac", tone(2.0), 16000)
    (read / "transcripts.jsonl").write_text(
        json.dumps({"file": "a.flac", "speaker": "0001", "text": "we call it bear"})
    )
    soundfile.write(tmp_path / "digits" / "7_jackson_0.flac", tone(0.5, 8000), 8000)
    soundfile.write(tmp_path / "digits" / "3_george_0.flac", tone(0.5, 8000), 8000)
    soundfile.write(tmp_path / "alphanumeric" / "a_petewarden_nohash_0.flac", tone(1.0), 16000)
    soundfile.write(tmp_path / "barista" / "x1.flac", tone(3.0), 16000)
    labels = {"x1": {"intent": "orderDrink", "slots": {"coffeeDrink": "mocha", "size": "small"}}}
    (tmp_path / "barista" / "labels.json").write_text(json.dumps(labels))
    return tmp_path


def recorded(folder: Path) -> list[asr_corpora.Item]:
    return [item for item in asr_corpora.load(folder) if item.corpus != "librivox"]


class Ear:
    """Hears the same of everything."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.calls = texts, 0

    def transcribe(
        self, batch: Sequence[NDArray[np.float32]], *, nbest: int = 1
    ) -> list[Hypothesis]:
        self.calls += 1
        assert all(samples.dtype == np.float32 for samples in batch)
        alternatives = tuple(Alternative(text, 0.5) for text in self.texts[:nbest])
        return [Hypothesis(self.texts[0], nbest=alternatives) for _ in batch]


def test_readers_give_sets_speakers_and_texts(folder: Path) -> None:
    items = recorded(folder)
    found = {(i.kind, i.group, i.text, i.is_styled, i.is_clear) for i in items}
    assert found == {
        ("phone names", "00001", "Ann Lee.", True, True),
        ("phone keywords", "00001", "Operator", False, True),
        ("phone sentences", "00001", "Hi. Get me the Operator.", True, True),
        ("phone sentences", "00001", "get me it", False, False),
        ("learners", "0001", "we call it bear", False, True),
        ("digits", "jackson", "Seven.", True, True),
        ("digits", "george", "Three.", True, True),
        ("letters", "petewarden", "A.", True, True),
        ("barista", "x1", None, False, True),
    }
    assert {item.caller for item in items if item.corpus == "phone_calls"} == {"ann lee"}
    assert all(len(asr_corpora.read(item)) >= 8000 for item in items)


def test_split_parts_speakers(folder: Path) -> None:
    items, splits = recorded(folder), asr_splits.load()
    kept = asr_corpora.part(items, splits, held_out=False)
    unseen = asr_corpora.part(items, splits, held_out=True)
    assert {item.group for item in unseen} >= {"george", "petewarden"}
    assert not {(i.corpus, i.group) for i in kept} & {(i.corpus, i.group) for i in unseen}
    assert len(kept) + len(unseen) == len(items)


def test_broken_transcripts_and_empty_folders_are_mistakes(folder: Path, tmp_path: Path) -> None:
    (folder / "read_sentences" / "transcripts.jsonl").write_text("{}\n")
    with pytest.raises(UserMistake, match=r"transcripts.jsonl:1: not a transcript line"):
        asr_corpora.load(folder)
    with pytest.raises(UserMistake, match="holds none of phone_calls"):
        asr_corpora.load(tmp_path / "digits")


def test_what_lines_and_labels_leave_out_is_nothing_said(folder: Path) -> None:
    calls, barista = folder / "phone_calls", folder / "barista"
    rows = [
        {"file": "00001/0.wav", "text": "hello there"},
        {"file": "00001/1.wav", "text": None, "kind": None},
    ]
    (calls / "transcripts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    soundfile.write(folder / "alphanumeric" / "nameless.flac", tone(0.3), 16000)
    (barista / "labels.json").write_text('{"x": {}, "y": {"slots": null}}')
    items = asr_corpora.load(folder)
    [call] = [item for item in items if item.corpus == "phone_calls"]
    assert (call.kind, call.group, call.is_clear) == ("phone sentences", "?", True)
    assert "nameless" not in {item.path.stem for item in items}
    (barista / "labels.json").write_text('{"x"')
    with pytest.raises(UserMistake, match=r"labels\.json"):
        asr_corpora.load(folder)


def test_readings_of_the_wheel_are_held_out() -> None:
    splits = asr_splits.load()
    items = list(asr_corpora.librivox())
    assert items
    for item in items:
        assert splits.is_held_out("librivox", item.group)
        assert len(asr_corpora.read(item)) > 16000


def test_targets_are_styled_mended_and_kept(folder: Path, tmp_path: Path) -> None:
    items, ear, told = recorded(folder), Ear("We call it small mocker."), list[str]()
    kept = tmp_path / "out" / "hearings.json"
    targets = asr_labels.targets(items, ear, kept, told.append)
    texts = set(targets.values())
    assert {"We call it bear.", "Operator.", "We call it small mocha.", "Seven."} <= texts
    calls = ear.calls
    assert asr_labels.targets(items, ear, kept, told.append) == targets
    assert ear.calls == calls
    kept.write_text("{")
    asr_labels.targets(items, ear, kept, told.append)
    assert ear.calls > calls
    assert any("damaged" in line for line in told)


def test_order_without_target_is_not_trained_on(folder: Path, tmp_path: Path) -> None:
    items = [item for item in recorded(folder) if item.kind in {"barista", "phone sentences"}]
    targets = asr_labels.targets(items, Ear("Tea."), tmp_path / "h.json", lambda _: None)
    assert [text for _, text in usable(items, targets)] == ["Hi. Get me the Operator."]


def source(folder: Path, **changes: object) -> Source:
    items = recorded(folder)
    texts = {item.key: item.text or "A small mocha." for item in items}
    mixture = {"learners": 1.0, "joined digits": 1.0, "barista": 1.0, "synthetic answers": 1.0}
    data = Data.model_validate({
        "mixture": mixture, "batch_seconds": 12.0, "pool": 12, "empty": 0.2, "speed": 0.5,
    } | changes)  # fmt: skip
    telephone = Telephone(Chain(), [], [])
    library = Library(usable(items, texts))
    return Source(data, library, Texts(), ["en-us"], telephone, Encoder(BYTES), 1)


def test_examples_pair_equally_long_sides(folder: Path) -> None:
    made = source(folder)
    examples = [example for batch in made.batches(0) for example in batch]
    assert len(examples) == 12
    for example in examples:
        assert example.heard.shape == example.clean.shape
        assert len(example.heard) >= 24000
        assert example.teaches is bool(example.tokens)
        assert example.heard.dtype == np.float32
    spoken = {Vocabulary(BYTES).text(example.tokens) for example in examples}
    assert spoken & {"We call it bear.", "we call it bear", "A small mocha."}


def test_sentences_of_one_speaker_are_joined(folder: Path) -> None:
    read = folder / "read_sentences"
    rows = []
    for number, name in enumerate(["one", "two", "three", "four"]):
        soundfile.write(read / f"{name}.flac", tone(3.0), 16000)
        speaker = f"000{number % 2 + 1}"
        rows.append(json.dumps({"file": f"{name}.flac", "speaker": speaker, "text": f"{name}."}))
    (read / "transcripts.jsonl").write_text("\n".join(rows))
    made = source(folder, mixture={"joined sentences": 1.0}, empty=0.0, speed=0.0)
    texts = {Vocabulary(BYTES).text(made.example(0, number).tokens) for number in range(40)}
    learners = {text for text in texts if "Operator" not in text}
    assert learners <= {"one. three.", "three. one.", "two. four.", "four. two."}
    assert len(learners) == 4


def test_batches_keep_to_their_budget(folder: Path) -> None:
    batches = list(source(folder).batches(1))
    assert batches
    for batch in batches:
        longest = max(len(example.heard) for example in batch)
        assert len(batch) == 1 or longest * len(batch) <= 12 * 16000


def test_stream_is_the_same_from_any_place_and_with_workers(folder: Path) -> None:
    mixture = {"learners": 1.0, "joined digits": 1.0}

    def places(made: Source, pool: int, batch: int, count: int) -> list[tuple[object, ...]]:
        stream = made.stream(pool, batch)
        found = [next(stream) for _ in range(count)]
        stream.close()
        return [(pool, n, [float(e.heard.sum()) for e in batch]) for pool, n, batch in found]

    whole = places(source(folder, mixture=mixture), 0, 0, 8)
    pool, batch = whole[3][0], whole[3][1]
    assert isinstance(pool, int)
    assert isinstance(batch, int)
    assert places(source(folder, mixture=mixture), pool, batch, 5) == whole[3:]
    assert places(source(folder, mixture=mixture, workers=2), 0, 0, 8) == whole


def example(tokens: tuple[int, ...], seconds: float, *, teaches: bool = True) -> Example:
    return Example(tone(seconds) * np.float32(0.5), tone(seconds), tokens, teaches)


def test_collated_batch_shifts_tokens_and_ignores_padding() -> None:
    batch = asr_network.collate([example((7, 8), 1.5), example((), 1.0)], torch.device("cpu"))
    assert batch.tokens_in.tolist() == [[BEGIN, 7, 8], [BEGIN, END, END]]
    assert batch.targets.tolist() == [[7, 8, END], [END, asr_network.IGNORED, asr_network.IGNORED]]
    assert batch.lengths == [24000, 16000]
    assert batch.heard.shape == (2, 24000)
    assert float(batch.heard[1, 16000:].abs().sum()) == 0
    assert batch.seconds == 2.5


def network() -> Moonshine:
    torch.manual_seed(0)
    return Moonshine(TINY)


def test_teacher_says_nothing_to_its_equal_on_clean_speech() -> None:
    model = network()
    sound = tone(1.0)
    same = [Example(sound, sound, (7, 8), True)]
    batch = asr_network.collate(same, torch.device("cpu"))
    loss = asr_network.losses(model, copy.deepcopy(model), batch, Loss())
    assert loss.features == pytest.approx(0.0, abs=1e-5)
    assert loss.logits == pytest.approx(0.0, abs=1e-5)
    assert float(loss.total.detach()) == pytest.approx(loss.text, abs=1e-4)


def test_teacher_pulls_where_it_is_right_and_the_student_hears_something_else() -> None:
    model, plain = network(), torch.device("cpu")
    sound = asr_network.collate([example((7, 8), 1.0)], plain)
    with torch.no_grad():
        encoded = model.encoder(sound.clean, sound.lengths)
        opinion = model.decoder(sound.tokens_in, model.decoder.start(encoded, 0)).argmax(dim=-1)
    right, wrong = replace(sound, targets=opinion), replace(sound, targets=(opinion + 1) % 259)
    for batch in (right, wrong):
        alone = asr_network.losses(model, None, batch, Loss())
        taught = asr_network.losses(model, copy.deepcopy(model), batch, Loss(every=2))
        assert alone.text == pytest.approx(taught.text)
        assert (taught.features > 0) is (batch is right)
        assert (float(taught.total.detach()) > float(alone.total.detach())) is (batch is right)


def test_examples_in_which_nobody_speaks_are_not_distilled() -> None:
    batch = asr_network.collate([example((), 1.0, teaches=False)], torch.device("cpu"))
    loss = asr_network.losses(network(), network(), batch, Loss())
    assert loss.features == loss.logits == 0.0


def test_bfloat16_shares_parameters_and_nearly_agrees() -> None:
    model = network()
    half = asr_network.in_bfloat16(copy.deepcopy(model))
    assert half.state_dict().keys() == model.state_dict().keys()
    batch = asr_network.collate([example((7, 8, 9), 1.0)], torch.device("cpu"))
    one, other = (asr_network.losses(m, None, batch, Loss()) for m in (model, half))
    assert one.text == pytest.approx(other.text, rel=0.02)
    other.total.backward()  # type: ignore[no-untyped-call]
    assert all(v.grad is not None and v.grad.dtype == torch.float32 for v in half.parameters())


def test_rate_rises_stays_and_falls() -> None:
    options = Optimiser(warm_up=10, cool_down=0.5)
    rates = [rate_at(step, 100, options) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:49] == [1.0] * 39
    assert rates[50:] == sorted(rates[50:], reverse=True)
    assert rates[-1] == pytest.approx(LAST_RATE)


def test_trial_counts_words_slots_and_tidiness() -> None:
    silence = np.zeros(16000, np.float32)
    asked = [
        Question("phone sentences", silence, "Get me the operator."),
        Question("phone sentences", silence, "Yes."),
        Question("barista", silence, "", ("small", "mocha")),
    ]
    scores = asr_trial.ask(Ear("Get me a mocha."), asked)
    assert scores["phone sentences"].words == 5
    assert scores["phone sentences"].errors == pytest.approx(100 * (2 + 4) / 5)
    assert scores["barista"].errors == 50.0
    assert scores["barista"].marks == 100.0
    untidy = asr_trial.ask(Ear("get me"), asked)
    assert untidy["barista"].marks == 0.0
    table = asr_trial.table({"one": scores, "two": {"barista": untidy["barista"]}})
    assert "| barista | 2 | 50.0 | 100.0 | 0 |" in table
    assert "| phone sentences | 5 | 120.0 | - | 100 |" in table


def test_questions_come_by_telephone_and_part_known_callers(folder: Path) -> None:
    items = recorded(folder)
    asked = asr_trial.questions(items, items)
    kinds = {question.kind for question in asked}
    assert "phone sentences, known callers" in kinds
    assert "phone sentences" in {q.kind for q in asr_trial.questions(items, [])}
    assert len(asked) == len([item for item in items if item.is_clear])
    spectrum = np.abs(np.fft.rfft(asked[0].heard))
    assert spectrum[len(spectrum) * 5 // 8 :].max() < 0.05 * spectrum.max()  # nothing above 5 kHz
    assert len(asr_trial.questions(items, [], limit=1)) == len({i.kind for i in items})


def test_synthetic_questions_repeat() -> None:
    one = asr_trial.synthetic(Texts(), ["en-us+f3"], limit=2)
    other = asr_trial.synthetic(Texts(), ["en-us+f3"], limit=2)
    assert [question.text for question in one] == [question.text for question in other]
    assert {question.kind for question in one} >= {"rehearsal", "synthetic letters"}


def test_orders_in_noise_and_calls_without_speech(folder: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 40000).astype(np.float32)
    (order,) = asr_trial.in_noise(recorded(folder), noise)
    (clean,) = [q for q in asr_trial.questions(recorded(folder), []) if q.kind == "barista"]
    assert order.slot_words == clean.slot_words
    assert set(order.slot_words) == {"mocha", "small"}
    assert len(order.heard) == len(clean.heard)
    assert not np.allclose(order.heard, clean.heard, atol=0.01)
    asked = asr_trial.nobody([noise], limit=3)
    assert asr_trial.ask(Ear("You know."), asked)[asr_trial.NOBODY].errors == pytest.approx(30.0)
    assert asr_trial.ask(Ear(""), asked)[asr_trial.NOBODY].errors == 0.0


def test_blending_lies_between() -> None:
    one, other = ({"a": torch.full((2,), value)} for value in (1.0, 3.0))
    mixed = asr_exam.blended(Weights(one, []), Weights(other, []), 0.25)
    assert mixed.state["a"].tolist() == [1.5, 1.5]


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exam with ears that need no weights: callers get one that knows nothing of coffee."""

    def measured(config: Config, *, tell: Callable[[str], None], **_: object) -> asr_exam.Figures:
        ears = {asr_exam.UNTOUCHED: Ear("Get me a small mocha."), asr_exam.PRODUCT: Ear("Get me.")}
        assert config.data.recordings is not None
        items = recorded(config.data.recordings)
        return asr_exam.heard(ears, asr_trial.questions(items, []), tell)

    monkeypatch.setattr(asr_exam, "measure", measured)


@pytest.mark.usefixtures("examined")
def test_the_exam_names_what_was_forgotten(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asr_exam.main([str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert "barista" in found["forgotten"]["beam"]
    assert set(found["figures"]) == {
        f"{name}, {search}" for name in ("product", "untouched") for search in ("greedy", "beam")
    }
    assert found["figures"]["untouched, beam"]["barista"]["errors"] == 0.0
    assert found["figures"]["product, beam"]["barista"]["errors"] == 100.0
    assert "measuring" in err
    assert asr_exam.main([str(folder)]) == 0
    assert "worse than the untouched weights, beam: " in capsys.readouterr().out


@pytest.mark.usefixtures("examined")
def test_the_exam_says_what_it_cannot_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([str(tmp_path / "gone")], [str(tmp_path), "--texts", "gone"],
                      [str(tmp_path), "--limit", "0"]):  # fmt: skip
        assert asr_exam.main(arguments) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_kitchen_parts_do_not_overlap(folder: Path) -> None:
    assert asr_corpora.kitchen(folder, held_out=True) == []
    (folder / "noise").mkdir()
    ramp = np.linspace(-0.5, 0.5, 24000).astype(np.float32)
    soundfile.write(folder / "noise" / "kitchen.flac", ramp, 8000)
    (kept,) = asr_corpora.kitchen(folder, held_out=False)
    (unseen,) = asr_corpora.kitchen(folder, held_out=True)
    assert kept.max() < unseen.min()
    assert len(kept) == 2 * len(unseen)
