"""The echo matrix: its recordings, its cells, and what it counts, on ears that are known."""

import json
import zlib
from math import inf
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import LoudnessVad, ScriptedRecogniser
from numpy.typing import NDArray

from voicebot.engine.runner import Runner
from voicebot.errors import UserMistake
from voicebot.evaluation import echo
from voicebot.evaluation.echo_corpus import Corpus, load_corpus, prompt_of, speech_onset
from voicebot.evaluation.echo_matrix import (
    DELAYS_MS,
    ERLS_DB,
    KINDS,
    STEPS_MS,
    Cell,
    matrix,
    networks,
    scene,
    steady_scene,
)
from voicebot.evaluation.echo_network import NETWORKS, TELEPHONES, Network
from voicebot.evaluation.echo_result import CellResult, EchoResult, Noticed

pytestmark = pytest.mark.unit

RATE = 8000
SHARED = Path(__file__).parents[2].parent / "shared" / "audio"


def voice(seconds: float, seed: int, rate: int = RATE) -> NDArray[np.float32]:
    """Noise in syllables, 0.3 s after the beginning and before the end of silence."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(int(seconds * rate)) * 0.1
    samples *= np.abs(np.sin(np.arange(len(samples)) * 2 * np.pi * 2 / rate)) + 0.2
    quiet = np.zeros(int(0.3 * rate))
    return np.concatenate([quiet, samples, quiet]).astype(np.float32)


def held_out(count: int) -> list[str]:
    names = (f"{number:05}" for number in range(1000))
    return [name for name in names if zlib.crc32(name.encode()) % 5 == 0][:count]


def corpus_folder(root: Path, sessions: list[str], speakers: int = 2) -> Path:
    """Small recordings laid out like shared/audio."""
    calls, sentences = root / "phone_calls", root / "read_sentences"
    for folder in (calls, sentences):
        folder.mkdir()
    lines = []
    for number, session in enumerate(sessions):
        name = f"{session}.wav"
        soundfile.write(calls / name, voice(1.2, number), RATE, subtype="ULAW")
        row = {"file": name, "session": session, "kind": "sentence", "phone": "cellphone"}
        lines.append(json.dumps({**row, "text": "operator please"}))
    (calls / "transcripts.jsonl").write_text("\n".join(lines))
    lines = []
    for number in range(speakers):
        name = f"{number}.flac"
        soundfile.write(sentences / name, voice(4.0, 100 + number, 16000), 16000)
        lines.append(json.dumps({"file": name, "speaker": str(number), "age": 30, "text": "hello"}))
    (sentences / "transcripts.jsonl").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(corpus_folder(tmp_path_factory.mktemp("audio"), held_out(4)), seed=1)


# ---------------------------------------------------------------- recordings


def test_only_held_out_callers_speak_where_there_are_enough(tmp_path: Path) -> None:
    others = ["00000", "00001", "00002"]
    assert not set(others) & set(held_out(9))
    loaded = load_corpus(corpus_folder(tmp_path, [*held_out(3), *others]), seed=1)
    assert {clip.speaker for clip in loaded.near} == set(held_out(3))
    assert loaded.is_held_out


def test_all_callers_speak_where_too_few_are_held_out(tmp_path: Path) -> None:
    sessions = [*held_out(2), "00000", "00001"]
    loaded = load_corpus(corpus_folder(tmp_path, sessions), seed=1)
    assert {clip.speaker for clip in loaded.near} == set(sessions)
    assert not loaded.is_held_out


def test_the_bot_speaks_with_its_own_voice_and_with_real_ones(corpus: Corpus) -> None:
    own, *real = corpus.voices
    assert len(own) >= 4
    assert len(real) == 2
    for prompt in (own[0], real[0][0]):
        assert prompt.word_ends[-1].chars == len(prompt.text)


def test_words_of_a_prompt_end_in_order_and_with_it() -> None:
    spoken = prompt_of("two words", np.ones(8000, np.float32) * 0.1)
    assert [end.chars for end in spoken.word_ends] == [3, 9]
    assert [end.sample for end in spoken.word_ends] == [2666, 8000]
    assert prompt_of("", np.ones(8000, np.float32)).text


def test_onset_is_where_the_speech_begins_not_a_click_before_it() -> None:
    speech = voice(1.0, 5)
    found = speech_onset(speech)
    assert found is not None
    assert abs(found[0] - 2400) <= 240
    assert abs(found[1] - (2400 + 8000)) <= 400
    clicked = speech.copy()
    clicked[400:480] = 0.2
    again = speech_onset(clicked)
    assert again is not None
    assert abs(again[0] - 2400) <= 240
    assert speech_onset(np.zeros(8000, np.float32)) is None
    assert speech_onset(np.zeros(10, np.float32)) is None


def break_line(root: Path) -> None:
    path = root / "phone_calls" / "transcripts.jsonl"
    path.write_text(path.read_text() + "\n{oops")


def break_key(root: Path) -> None:
    (root / "phone_calls" / "transcripts.jsonl").write_text('{"file": "a.wav", "text": "x"}\n')


def break_row(root: Path) -> None:
    (root / "phone_calls" / "transcripts.jsonl").write_text('["a.wav"]\n')


def break_bytes(root: Path) -> None:
    (root / "phone_calls" / "transcripts.jsonl").write_bytes(b"\xff\xfe\x00")


def break_audio(root: Path) -> None:
    for path in (root / "phone_calls").glob("*.wav"):
        path.write_bytes(b"no audio at all")


def empty_calls(root: Path) -> None:
    (root / "phone_calls" / "transcripts.jsonl").write_text("")


def no_transcripts(root: Path) -> None:
    (root / "phone_calls" / "transcripts.jsonl").unlink()


def no_far(root: Path) -> None:
    (root / "read_sentences").rename(root / "elsewhere")


def empty_far(root: Path) -> None:
    (root / "read_sentences" / "transcripts.jsonl").write_text("")


def empty_orders(root: Path) -> None:
    no_far(root)
    (root / "barista").mkdir()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (break_line, "transcripts.jsonl:5: is not JSON"),
        (break_key, 'has no "session"'),
        (break_row, 'transcripts.jsonl:1: has no "file"'),
        (break_bytes, "is not text"),
        (break_audio, "is not readable audio"),
        (empty_calls, "0 caller"),
        (no_transcripts, "cannot be read"),
        (no_far, "neither read_sentences/ nor barista/"),
        (empty_far, "names no recordings"),
        (empty_orders, "names no recordings"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, spoil, says: str) -> None:  # type: ignore[no-untyped-def]
    root = corpus_folder(tmp_path, held_out(4))
    spoil(root)
    with pytest.raises(UserMistake) as caught:
        load_corpus(root, seed=1)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_the_folder_must_be_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserMistake, match="folder"):
        load_corpus(tmp_path / name, seed=1)


# ---------------------------------------------------------------- cells


def test_the_matrix_is_whole_and_a_quick_one_holds_every_value() -> None:
    assert len(set(matrix(quick=False))) == 4 * 4 * 3 * 4
    quick = matrix(quick=True)
    assert len(quick) == 16
    assert {cell.erl_db for cell in quick} == set(ERLS_DB)
    assert {cell.delay_ms for cell in quick} == set(DELAYS_MS)
    assert {cell.kind for cell in quick} == set(KINDS)
    assert {cell.step_ms for cell in quick} == set(STEPS_MS)


@pytest.mark.parametrize("step_ms", [60, -60, 180])
def test_the_delay_steps_to_and_fro_from_the_cells_own(step_ms: int) -> None:
    path = Cell(10, 50, "mulaw", step_ms).path(1, [8000, 16000, 24000])
    delays = [path.delay_at(at) // 8 for at in (0, 9000, 17000, 25000)]
    assert delays[1] - delays[0] == step_ms
    assert delays[2:] == delays[:2]
    assert min(delays) == 50


def test_every_network_has_its_calls_and_a_quick_run_one_of_each() -> None:
    every, quick = networks(quick=False), networks(quick=True)
    assert len({(cell, cell.network) for cell in every}) == len(every)
    assert len(every) == len(NETWORKS) * len(TELEPHONES)
    assert [cell.network for cell in quick] == list(NETWORKS)
    assert {(cell.erl_db, cell.delay_ms, cell.kind) for cell in quick} == set(TELEPHONES)


def test_the_network_changes_the_way_and_not_what_is_said(corpus: Corpus) -> None:
    near, poor = (
        scene(Cell(10, 300, network=network), corpus, seconds=30, seed=1, is_double_talk=False)
        for network in (NETWORKS[0], NETWORKS[-1])
    )
    assert near.turns == poor.turns
    plain = scene(Cell(10, 300), corpus, seconds=30, seed=1, is_double_talk=False)
    assert plain.turns == near.turns
    jumping = Cell(10, 300, network=Network(jumps_ms=(60, -60))).path(1, [], 14.0)
    assert [jumping.delay_at(int(s * RATE)) // 8 for s in (1, 5, 9, 13)] == [300, 360, 300, 360]


def test_a_scene_is_the_same_each_time_and_fits_its_call(corpus: Corpus) -> None:
    cell = Cell(10, 300, "gsm", 60)
    made = [scene(cell, corpus, seconds=30, seed=1, is_double_talk=True) for _ in range(2)]
    assert made[0].turns == made[1].turns
    np.testing.assert_array_equal(made[0].caller, made[1].caller)
    assert len(made[0].turns) == len(made[0].interruptions) >= 3
    for turn, said in zip(made[0].turns, made[0].interruptions, strict=True):
        assert turn.at + RATE < said.onset < turn.at + len(turn.prompts[0].mulaw)
        assert said.end <= 30 * RATE
    nobody = scene(cell, corpus, seconds=30, seed=1, is_double_talk=False)
    assert not nobody.interruptions
    assert np.abs(nobody.caller).max() < 0.01


def test_a_steady_scene_has_no_pause(corpus: Corpus) -> None:
    made = steady_scene(Cell(10, 300), corpus, 0, seconds=5, seed=1)
    assert [len(turn.prompts[0].mulaw) for turn in made.turns] == [5 * RATE]


# ---------------------------------------------------------------- counting


def results() -> EchoResult:
    noticed = [*[Noticed(100.0, 5.0)] * 9, Noticed(inf, -20.0)]
    static = CellResult(Cell(10, 50), bot_s=60.0, pauses=1, noticed=noticed)
    step = CellResult(Cell(10, 50, "gsm", 60), bot_s=30.0, self_barge_ins=1, echo_words=3)
    far = [
        CellResult(Cell(erl, 50, network=FAR), bot_s=30.0, pauses=1, self_barge_ins=1)
        for erl in (10, 0)
    ]
    erle = {(10, 0): 25.0, (10, 500): 18.0, (0, 0): 30.0}
    return EchoResult((static, step), erle, 4, True, tuple(far))


def test_figures_are_per_minute_of_bot_speech_and_a_miss_is_the_latest() -> None:
    of = results().as_dict()
    assert of["bot_minutes"] == 1.5
    assert of["self_barge_in_per_min"] == 0.0
    assert of["self_barge_in_per_min_steps"] == 2.0
    assert of["pauses_per_min"] == pytest.approx(1 / 1.5, abs=1e-4)
    assert of["echo_words_per_min"] == 2.0
    assert of["double_talk_p50_ms"] == 100.0
    assert of["double_talk_p95_ms"] is None, "one in ten was missed"
    assert of["double_talk_miss"] == 0.1
    assert of["erle_db_at_2s"] == 18.0
    assert of["erle_db_at_2s_by_delay"]["10"] == {"0": 25.0, "500": 18.0}
    assert [cell["kind"] for cell in of["cells"]] == ["mulaw", "gsm"]
    assert of["cells"][1]["double_talk_miss"] is None
    levels = of["double_talk_by_level"]
    assert [level["double_talk_miss"] for level in levels] == [1.0, None, 0.0]
    assert [level["over_echo_db"] for level in levels] == [[None, -15.0], [-15.0, 0.0], [0.0, None]]
    (far,) = of["network"]
    assert (far["name"], far["bot_minutes"], far["pauses_per_min"]) == ("far", 1.0, 2.0)
    json.dumps(of, allow_nan=False)


def test_the_table_names_every_value_and_the_picture_is_written(tmp_path: Path) -> None:
    result = results()
    table = result.table()
    for label in (
        "ERL 10 dB",
        "delay 50 ms",
        "gsm",
        "step +60 ms",
        "all",
        "500: 18",
        "< -15 dB",
        "louder",
        "far",
    ):
        assert label in table
    result.plot(tmp_path / "echo.png")
    assert (tmp_path / "echo.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserMistake, match="cannot be written"):
        result.plot(tmp_path / "missing" / "echo.png")


FAR = Network("far", round_trip_ms=300, marks_late_ms=50)


class DeafVad(LoudnessVad):
    """Hears nothing."""

    def probabilities(self, slots, windows):  # type: ignore[no-untyped-def]
        return super().probabilities(slots, windows * 0)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Recordings, and a matrix of two cells that takes a second."""
    cells = [Cell(10, 50), Cell(10, 50, "mulaw", 60)]
    monkeypatch.setattr(echo, "matrix", lambda *, quick: cells)
    monkeypatch.setattr(echo, "networks", lambda *, quick: [Cell(10, 50, network=FAR)])
    monkeypatch.setattr(echo, "ERLE_DELAYS_MS", (0, 300))
    monkeypatch.setattr(echo, "ECHO_S", 14.0)
    monkeypatch.setattr(echo, "DOUBLE_TALK_S", 20.0)
    return corpus_folder(tmp_path, held_out(4))


def run(folder: Path, vad: LoudnessVad, told: list[str] | None = None) -> dict[str, object]:
    heard = ScriptedRecogniser(lambda _: "three little words")
    made = echo.run(
        folder,
        recogniser=heard,  # type: ignore[arg-type]
        quick=True,
        tell=(told if told is not None else []).append,
        make=lambda slots, recogniser: Runner(slots, vad, recogniser),  # type: ignore[arg-type]
    )
    return made.as_dict()


def test_ears_without_a_canceller_interrupt_the_bot(tiny: Path) -> None:
    told: list[str] = []
    of = run(tiny, LoudnessVad(), told)
    assert of["self_barge_in_per_min"] > 1  # type: ignore[operator]
    assert of["echo_words_per_min"] > 1  # type: ignore[operator]
    assert of["erle_db_at_2s"] == pytest.approx(0.0, abs=0.1)
    assert any("echo alone" in line for line in told)
    assert any("double talk" in line for line in told)


def test_deaf_ears_never_interrupt_the_bot_and_miss_every_caller(tiny: Path) -> None:
    of = run(tiny, DeafVad())
    assert of["self_barge_in_per_min"] == of["self_barge_in_per_min_steps"] == 0.0
    assert of["pauses_per_min"] == of["echo_words_per_min"] == 0.0
    assert of["double_talk_miss"] == 1.0
    assert of["double_talk_p50_ms"] is None
    assert of["double_talk_spoiled"] == 0
    (far,) = of["network"]  # type: ignore[misc]
    assert (far["name"], far["round_trip_ms"], far["marks_late_ms"]) == ("far", 300, 50)
    assert far["pauses_per_min"] == 0.0
    assert far["double_talk_miss"] == 1.0
    assert far["double_talk_tried"] * 2 <= of["double_talk_tried"], "counted apart"  # type: ignore[operator]


def test_a_quiet_telephone_and_ears_that_hear_only_the_caller(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echo, "matrix", lambda *, quick: [Cell(60, 50)])
    of = run(tiny, LoudnessVad())
    assert of["self_barge_in_per_min"] == 0.0
    assert of["double_talk_miss"] == 0.0
    # The detector's 96 ms, and what the window and the chunk add.
    assert 60 < of["double_talk_p50_ms"] < 250  # type: ignore[operator]


@pytest.mark.recordings
@pytest.mark.skipif(not SHARED.is_dir(), reason="no recordings")
def test_real_recordings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_corpus(SHARED, seed=1, near_speakers=3)
    assert loaded.is_held_out
    assert len({clip.speaker for clip in loaded.near}) == 3
    assert {clip.phone for clip in loaded.near} == {"landlinephone", "cellphone", "speakerphone"}
    assert all(len(prompts) >= 2 for prompts in loaded.voices)
