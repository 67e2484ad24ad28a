"""voicebot.evaluation.asr: what counts as an error, any folder of that layout, the figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from voicebot.audio.files import read_audio
from voicebot.engine.runner import Runner
from voicebot.errors import AudioFileError, UserMistake
from voicebot.evaluation import asr, asr_corpus, asr_latency, asr_origin, asr_silence
from voicebot.evaluation.asr_hearing import Ear
from voicebot.evaluation.asr_result import AsrResult, reliability
from voicebot.evaluation.asr_score import align, bootstrap, brier, compare, is_same, normalised
from voicebot.events import Alternative, Hypothesis, Word

pytestmark = pytest.mark.unit
AUDIO = Path(__file__).parents[2].parent / "shared" / "audio"


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("reference", "recognised"),
    [
        ("i'd like to go", "I'd like to go."),
        ("call thinkengine now", "Call Think Engine now!"),
        ("wild fire", "Wildfire"),
        ("twelve ounces", "12 ounces"),
        ("zero three five one", "0351"),
        ("nineteen ninety nine", "1999"),
        ("one hundred five", "105"),
        ("ninety-nine point nine nine", "99.99"),
        ("uh i um think so", "I think so"),
        ("okay mister smith", "OK, Mr. Smith."),
        ("cafe", "Café"),
        ("five dollars", "$5"),
        ("half past two thirty", "half past 2:30"),
    ],
)
def test_the_same_words_written_otherwise_are_no_errors(reference: str, recognised: str) -> None:
    assert is_same(reference, recognised)
    assert all(compare(reference, recognised).is_right)


@pytest.mark.parametrize(
    ("reference", "recognised", "errors"),
    [
        ("onword", "Onward.", 1),
        ("operator", "", 1),
        ("its mine", "it's mine", 1),
        ("two", "To.", 1),
        ("get me the operator", "get me an operator now", 2),
        ("think engine", "think engines", 1),
        ("one two three", "1 2 4", 1),
        ("", "hello there", 2),
    ],
)
def test_other_words_are(reference: str, recognised: str, errors: int) -> None:
    assert compare(reference, recognised).errors == errors


def test_which_recognised_words_are_right() -> None:
    found = compare("please call the operator", "Please, uh, fall the think operator.")
    assert found.is_right == (True, True, False, True, False, True)
    assert (found.errors, found.words) == (2, 4)
    assert compare("thinkengine", "think engine").is_right == (True, True)
    assert compare("think engine", "thinkengine").is_right == (True,)
    assert normalised("Um, 21 cm") == ["twenty", "one", "cm"]


def test_alignment_is_levenshtein() -> None:
    assert align("kitten", "sitting") == (3, [False, True, True, True, False, True, False])
    assert align("", "ab") == (2, [False, False])
    assert align("ab", "") == (2, [])


def test_intervals_are_by_group() -> None:
    errors, sizes = [1.0] * 50 + [0.0] * 50, [1.0] * 100
    one_each = bootstrap(errors, sizes, [str(n) for n in range(100)])
    two_groups = bootstrap(errors, sizes, ["a"] * 50 + ["b"] * 50)
    alone = bootstrap(errors, sizes, ["a"] * 100)
    assert one_each[0] == pytest.approx(0.4, abs=0.05)
    assert one_each == pytest.approx(alone, abs=0.03)
    assert two_groups == (0.0, 1.0)
    assert bootstrap([], [], []) == (0.0, 0.0)


def test_calibration() -> None:
    assert brier([1.0, 0.0, 0.5], [True, False, True]) == pytest.approx(0.25 / 3)
    assert brier([], []) is None
    assert reliability([(0.05, False), (0.95, True), (0.97, False), (1.0, True)]) == [
        [0.05, 0.0, 1],
        [0.9733, 0.6667, 3],
    ]


# ---------------------------------------------------------------- recordings


class Ears:
    """Says what belongs to the length of what it hears; with an expectation, something else."""

    def __init__(self, texts: dict[int, str], helped: dict[int, str]) -> None:
        self.texts, self.helped = texts, helped

    def transcribe(
        self,
        batch: Sequence[np.ndarray],
        *,
        nbest: int = 1,
        expectations: Sequence[object] | None = None,
        **_: object,
    ) -> list[Hypothesis]:
        found = []
        for at, samples in enumerate(batch):
            tenths = round(len(samples) / 1600)
            text = self.texts.get(tenths, "")
            if expectations is not None and expectations[at] is not None:
                text = self.helped.get(tenths, text)
            words = tuple(Word(word, 0.8) for word in text.split())
            found.append(Hypothesis(text, words, 0.7, (Alternative(text, 0.7),)))
        return found


def record(path: Path, tenths: int, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(tenths).standard_normal(rate * tenths // 10)
    sf.write(path, 0.05 * noise, rate)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    calls = tmp_path / "phone_calls"
    base = {"session": "s1", "phone": "cellphone", "gender": "female", "dialect": "native"}
    rows = [
        base | {"file": "s1/a.wav", "kind": "keyword", "text": "wildfire", "unclear": False},
        base | {"file": "s1/b.wav", "kind": "sentence", "text": "get me the operator"},
        base | {"file": "s1/c.wav", "kind": "sentence", "text": "hard to tell", "unclear": True},
        base | {"file": "s1/d.wav", "kind": "sentence", "text": "get me the op-"},
        base | {"file": "s1/gone.wav", "kind": "sentence", "text": "nobody heard"},
        base | {"file": "s2/a.wav", "session": "s2", "kind": "sentence", "phone": "landlinephone",
                "text": "hello"},
    ]  # fmt: skip
    for tenths, name in ((10, "s1/a"), (11, "s1/b"), (12, "s1/c"), (13, "s1/d"), (14, "s2/a")):
        record(calls / f"{name}.wav", tenths)
    (calls / "transcripts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    record(tmp_path / "digits" / "7_nobody_0.flac", 15)
    record(tmp_path / "digits" / "2_nobody_0.flac", 16)
    record(tmp_path / "alphanumeric" / "b_somebody_nohash_0.flac", 17, 16000)
    record(tmp_path / "alphanumeric" / "four_somebody_nohash_0.flac", 18, 16000)
    record(tmp_path / "barista" / "x.flac", 19, 16000)
    labels = {"x": {"intent": "order", "slots": {"drink": "iced mocha"}}, "gone": {"slots": {}}}
    (tmp_path / "barista" / "labels.json").write_text(json.dumps(labels))
    return tmp_path


HEARD = {10: "Wildfire.", 11: "Get me an operator.", 14: "Hello.", 15: "Seven.", 16: "To.",
         17: "Be.", 18: "Four", 19: "A nice mocha."}  # fmt: skip
HELPED = {16: "2", 17: "B"}


def measured(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: bool) -> AsrResult:
    monkeypatch.setattr(asr_latency, "measure", lambda *_, **__: None)
    return asr.run(folder, recogniser=Ears(HEARD, HELPED), **options)  # type: ignore[arg-type]


def test_every_set_has_its_figures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = measured(folder, monkeypatch, quick=True)
    found = result.as_dict()
    assert json.loads(json.dumps(found)) == found
    sets = found["sets"]
    assert set(sets) == {
        "phone_keywords", "phone_sentences", "digits", "letters", "spoken_digits", "barista"
    }  # fmt: skip
    assert found["left_out"] == {"phone_sentences": 2}
    assert sets["phone_sentences"]["wer"] == 0.2
    assert sets["phone_sentences"]["accuracy"] == 0.5
    assert sets["phone_sentences"]["by"]["phone"]["cellphone"]["wer"] == 0.25
    assert sets["phone_sentences"]["groups"] == 2
    assert sets["phone_keywords"]["grammar_accuracy"] == 1.0
    assert (sets["digits"]["accuracy"], sets["digits"]["grammar_accuracy"]) == (0.5, 1.0)
    assert (sets["letters"]["accuracy"], sets["letters"]["grammar_accuracy"]) == (0.0, 1.0)
    assert sets["spoken_digits"]["tidy"] == 0.0
    assert (sets["barista"]["wer"], sets["barista"]["accuracy"]) == (0.5, None)
    assert found["hallucinated_words_per_minute"] == 0.0
    assert found["held_out_only"] is False
    assert "phone_sentences by phone" in result.table()
    result.plot(folder / "a.png")
    assert (folder / "a.png").stat().st_size > 5000


def test_orders_alone_are_drawn_without_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("phone_calls", "digits", "alphanumeric"):
        shutil.rmtree(folder / name)
    measured(folder, monkeypatch, quick=True).plot(folder / "a.png")  # warnings are errors here
    assert (folder / "a.png").stat().st_size > 5000


def test_invented_words_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HEARD, 50, "Thank you.")  # all sounds without speech are 5 s long
    found = measured(folder, monkeypatch, quick=True).as_dict()
    assert found["hallucinated_words_per_minute"] == pytest.approx(24.0)
    assert found["hallucinated_texts"]["music"] == ["Thank you."] * asr_silence.QUICK_PIECES


def test_parts_may_be_missing_and_what_training_saw_is_known_by_its_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(UserMistake, match="holds no recordings"):
        asr_corpus.load(tmp_path)
    record(tmp_path / "digits" / "7_nobody_0.flac", 15)
    record(tmp_path / "digits" / "7_jackson_0.flac", 16)  # a speaker of the training part
    record(tmp_path / "digits" / "8_jackson_0.flac", 17)
    record(tmp_path / "digits" / "7_george_0.flac", 18)  # held out
    record(tmp_path / "digits" / "7_renamed_0.flac", 19)

    def known() -> dict[str, bool]:
        items = asr_corpus.load(tmp_path).items
        return {item.path.stem: item.is_known for item in items}

    # A namesake of somebody whom training heard.
    assert not any(known().values())
    ours = [("digits", "jackson", "7_jackson_0"), ("digits", "george", "7_george_0")]
    ours += [("phone_calls", "00000", "7_renamed_0")]
    paths = [(corpus, group, tmp_path / "digits" / f"{stem}.flac") for corpus, group, stem in ours]
    file = tmp_path / "origin.json"
    file.write_text(json.dumps(asr_origin.collect(paths)))
    monkeypatch.setattr(asr_origin, "FILE", file)
    asr_origin._known.cache_clear()
    request.addfinalizer(asr_origin._known.cache_clear)
    assert {stem for stem, is_known in known().items() if is_known} == {
        "7_jackson_0", "8_jackson_0", "7_renamed_0"
    }  # fmt: skip
    assert len(asr_corpus.load(tmp_path, held_out=True).items) == 2
    assert len(asr_corpus.load(tmp_path, limit=1).items) == 1


@pytest.mark.recordings
def test_our_recordings_are_known_by_their_sound(tmp_path: Path) -> None:
    if not AUDIO.is_dir():
        pytest.skip("no recordings")
    for corpus, reader in asr_corpus._READERS.items():
        for item, problem in asr_corpus._examined(corpus, list(reader(AUDIO))[::40]):
            assert item.is_known == asr_corpus.is_trained(corpus, item.group), item
            assert not problem
    found = next(iter(asr_corpus._digits(AUDIO)))
    samples, rate = sf.read(found.path)
    for sound, stem, is_ours in (
        (samples, "9_nobody_0", True),  # renamed
        (samples + 1e-3, found.path.stem, True),  # converted with losses
        (samples + 1e-3, "9_nobody_0", False),
    ):
        sf.write(tmp_path / f"{stem}.wav", sound, rate)
        origin = asr_origin.examine(tmp_path / f"{stem}.wav").origin
        assert origin == (asr_origin.Origin("digits", found.group) if is_ours else None)


def test_a_broken_recording_is_named_counted_and_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = folder / "phone_calls" / "s2" / "a.wav"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (folder / "digits" / "7_nobody_0.flac").write_bytes(b"fLaC")
    whole = folder / "digits" / "2_nobody_0.flac"
    monkeypatch.setattr(asr, "read_audio", lambda path: _damaged(path, whole))
    found = measured(folder, monkeypatch, quick=True).as_dict()
    assert found["left_out"] == {"phone_sentences": 3, "digits": 2}
    assert found["sets"]["phone_sentences"]["recordings"] == 1
    errors = capsys.readouterr().err.splitlines()
    assert [Path(line.split(": ")[1]).name for line in errors] == [
        "a.wav", "7_nobody_0.flac", "2_nobody_0.flac"
    ]  # fmt: skip
    assert all(line.endswith("left out") for line in errors)


def _damaged(path: Path, damaged: Path) -> tuple[np.ndarray, int]:
    """One whose header and end are whole, but not what is between."""
    if path == damaged:
        raise AudioFileError(f"{path}: is not readable audio")
    return read_audio(path)


def test_where_nothing_can_be_read_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "7_nobody_0.flac").write_bytes(b"")
    with pytest.raises(UserMistake, match=r"can be read.*7_nobody_0"):
        asr_corpus.load(tmp_path)


def test_a_name_too_long_for_a_file_is_one_that_is_not_there(folder: Path) -> None:
    index, labels = folder / "phone_calls" / "transcripts.jsonl", folder / "barista" / "labels.json"
    before = len(asr_corpus.load(folder).items)
    index.write_text(index.read_text() + "\n" + json.dumps({"file": "a" * 5000, "text": "so"}))
    slots = {"slots": {"drink": "tea"}}
    labels.write_text(json.dumps(json.loads(labels.read_text()) | {"b" * 5000: slots}))
    assert len(asr_corpus.load(folder).items) == before


def test_what_is_no_text_in_a_line_is_one_line(folder: Path) -> None:
    row = {"file": "s1/a.wav", "kind": "name", "session": ["a"], "text": "ann"}
    (folder / "phone_calls" / "transcripts.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserMistake, match=r's1/a\.wav: its session is \["a"\]'):
        asr_corpus.load(folder)


def test_what_a_line_leaves_open_is_nothing_said(folder: Path) -> None:
    rows = [
        {"file": "s1/a.wav", "kind": None, "text": "hello", "session": None, "phone": None},
        {"file": "s1/b.wav", "text": None, "speaker": None},
    ]
    (folder / "phone_calls" / "transcripts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    record(folder / "digits" / "9_nobody_0.WAV", 15)
    labels = {"x.flac": {"slots": {"drink": "2 iced mocha"}}}
    (folder / "barista" / "labels.json").write_text(json.dumps(labels))
    found = asr_corpus.load(folder)
    [sentence] = found.of("phone_sentences")
    assert (sentence.text, sentence.group, sentence.traits) == ("hello", "?", {})
    assert found.left_out == {"phone_sentences": 1}
    assert {item.text for item in found.of("digits")} == {"seven", "two", "nine"}
    assert [item.slot_words for item in found.of("barista")] == [("two", "iced", "mocha")]


def test_utterances_without_a_turn_are_told() -> None:
    timings = [
        asr_latency.Timing(200.0, 150.0, 400.0, is_cut=False),
        asr_latency.Timing(200.0, None, None, is_cut=True),
        asr_latency.Timing(None, None, None, is_cut=False),
    ]
    load = asr_latency.Load(timings, 2, 1.0, 0.1, 3.0)
    latency = AsrResult([], {}, 1.0, 0.1, load, {}, False).as_dict()["latency"]
    assert (latency["utterances"], latency["cut"], latency["missed"]) == (3, 1, 1)
    assert latency["final_p95_ms"] == 150.0


def test_held_out_recordings_are_none_that_training_saw() -> None:
    splits = Path(asr_corpus.__file__).parents[1] / "learning" / "asr_splits.json"
    held_out = json.loads(splits.read_text())
    trained = asr_corpus.trained_groups()
    for corpus in ("phone_calls", "read_sentences", "digits", "barista"):
        assert trained[corpus], corpus
        assert not trained[corpus] & set(held_out[corpus]["held_out"]), corpus


def test_a_broken_transcript_is_one_line(folder: Path) -> None:
    (folder / "phone_calls" / "transcripts.jsonl").write_text('{"file": 3}')
    with pytest.raises(UserMistake, match=r"transcripts\.jsonl:1"):
        asr_corpus.load(folder)


def test_sounds_without_speech_are_the_same_each_time(tmp_path: Path) -> None:
    one, other = (asr_silence.sounds(tmp_path, quick=True) for _ in range(2))
    assert "kitchen" not in one
    for kind, pieces in one.items():
        for a, b in zip(pieces, other[kind], strict=True):
            assert a.dtype == np.float32
            assert np.isfinite(a).all()
            assert (a == b).all(), kind
    record(tmp_path / "noise" / "kitchen.flac", 300, 16000)
    assert len(asr_silence.sounds(tmp_path, quick=True)["kitchen"]) == 2


def test_batches_keep_their_order() -> None:
    ears = Ears({n: str(n) for n in range(1, 20)}, {})
    audio = [np.zeros(1600 * n, np.float32) for n in (7, 3, 19, 1, 3, 12, 8, 2, 5, 11)]
    ear = Ear(ears)  # type: ignore[arg-type]
    assert [h.text for h in ear.hear(audio)] == [str(len(a) // 1600) for a in audio]
    assert ear.audio_s == pytest.approx(7.1)


# ---------------------------------------------------------------- latency


class Loudness:
    """Voice activity by level."""

    def probabilities(self, slots: np.ndarray, windows: np.ndarray) -> np.ndarray:
        loud = np.sqrt(np.mean(windows**2, axis=1)) > 0.01
        return np.asarray(loud, np.float32)

    def reset(self, slot: int) -> None:
        pass


def test_ten_callers_wait_for_one_recogniser(folder: Path) -> None:
    items = asr_corpus.load(folder).of("phone_sentences")
    ears = Ears(dict.fromkeys(range(80), "words"), {})

    def make(slots: int) -> Runner:
        return Runner(slots, Loudness(), ears)  # type: ignore[arg-type]

    load = asr_latency.measure(make, items, quick=True, talking=2)
    assert load is not None
    assert load.talking > 1
    assert load.speech_s > 2
    for timing in load.timings:
        assert timing.partial_ms is not None
        assert 0 < timing.partial_ms < 10_000  # on the real clock of a machine that may be busy
        if not timing.is_cut:
            assert timing.final_ms is not None
            assert timing.turn_ms is not None
            assert timing.final_ms <= timing.turn_ms + 20
    assert asr_latency.measure(make, [], quick=True) is None
