"""Figures of the evaluation on turns made up, and how its calls are put together."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from voicebot.errors import UserMistake
from voicebot.evaluation import end_of_turn_calls
from voicebot.evaluation.asr_origin import Examined, Origin
from voicebot.evaluation.end_of_turn import (
    ANSWER_MS,
    LAG_MS,
    READ_MS,
    Judged,
    as_shipped,
    decided_ms,
    outcomes,
    sweep,
)
from voicebot.evaluation.end_of_turn_calls import (
    TAIL_SAMPLES,
    Turn,
    clip,
    read,
    with_tail,
)
from voicebot.evaluation.end_of_turn_result import Curve, EndOfTurnResult
from voicebot.events import Completeness, Expectation, SpeechEnded, SpeechStarted, Timeouts
from voicebot.turns.end_of_turn import trained_on
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.patience import CERTAIN_SHARE, EVEN_MS
from voicebot.turns.pauses import Stretch
from voicebot.turns.vad import SpeechDetector

pytestmark = pytest.mark.unit

SURE, UNSURE = 0.999, 0.001


def test_the_first_pause_that_is_too_long_cuts_a_turn_off() -> None:
    turns = [
        Judged((), (SURE,)),
        Judged((400.0,), (UNSURE, SURE)),
        Judged((100.0, 400.0), (SURE, SURE, SURE)),
        Judged((1600.0,), (UNSURE, UNSURE)),
    ]
    cut, waits = outcomes(turns, EVEN_MS)
    assert cut.tolist() == [False, False, True, True]
    assert waits.tolist() == [224, 224, 224, 1408]


def test_what_was_read_at_the_fall_of_the_voice_is_judged_sooner() -> None:
    turns = [Judged((), (SURE,), (answer,)) for answer in (READ_MS, ANSWER_MS)]
    assert outcomes(turns, EVEN_MS)[1].tolist() == [128, 224]


def test_a_judge_who_knows_is_better_than_one_who_does_not() -> None:
    knows = [Judged((700.0,), (0.01, 0.99))] * 10
    guesses = [Judged((700.0,), (0.5, 0.5))] * 10
    assert sweep(knows).cutoffs_at(300) == 0
    assert sweep(knows).latency_at(0.05) == pytest.approx(224)
    assert sweep(guesses).cutoffs_at(300) == 1
    assert sweep(guesses).latency_at(0.05) == pytest.approx(704)


def test_half_the_turns_cut_off() -> None:
    turns = [Judged((700.0,), (0.5, 0.5)), Judged((), (0.5,))]
    curve = sweep(turns)
    assert curve.cutoffs_at(600) == 0.5
    assert curve.cutoffs_at(720) == 0
    assert math.isnan(curve.cutoffs_at(100)), "nothing is as quick"


@pytest.mark.parametrize("probability", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_decisions_are_the_endpointers(probability: float) -> None:
    timeouts = Timeouts()
    endpointer = Endpointer()
    endpointer.listen(Expectation(), 0)
    endpointer.on_speech_started(SpeechStarted(256, 1024))
    detector, at = SpeechDetector(), 0
    for window_at in range(0, 12800, 256):
        for event in detector.feed(window_at, float(window_at < 10240)):
            if isinstance(event, SpeechEnded):
                endpointer.on_speech_ended(event)
                at = event.detected_at
    endpointer.on_completeness(Completeness.EXTENDABLE, at)
    endpointer.on_end_probability(probability, at)
    while endpointer.tick(at) is None:
        at += 256
    shortest_ms = int(timeouts.complete_ms * CERTAIN_SHARE)
    found = decided_ms(probability, EVEN_MS, shortest_ms, timeouts.incomplete_ms, answer_ms=60)
    assert (at - 10240) / 8 == found


def test_silence_counts_from_where_speech_ended() -> None:
    detector = SpeechDetector()
    told = [e for at in range(0, 12800, 256) for e in detector.feed(at, float(at < 10240))]
    ended = next(e for e in told if isinstance(e, SpeechEnded))
    assert 10240 - ended.at == pytest.approx(LAG_MS * 8, abs=1)


def test_as_shipped() -> None:
    of = as_shipped([Judged((2000.0,), (0.001, 0.999)), Judged((), (0.999,))])
    assert of["cutoffs"] == 0.5
    assert of["p50_ms"] == 224


def test_table_json_and_picture(tmp_path: Path) -> None:
    turns = [Judged((700.0,), (0.2, 0.8)), Judged((), (0.9,))]
    result = EndOfTurnResult(
        {"sentence": 2},
        {"sentence": 1},
        {"sentence": {"own": sweep(turns)}},
        {"sentence": as_shipped(turns)},
        True,
    )
    of = json.loads(json.dumps(result.as_dict()))
    assert of["false_cutoffs_300"] == of["sentence"]["own"]["cutoffs_at_300_ms"]
    assert of["sentence"]["turns_with_pause"] == 1
    assert "own" in result.table()
    assert "as shipped" in result.table()
    result.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserMistake, match="cannot be written"):
        result.plot(tmp_path / "missing" / "curve.png")


def test_what_was_not_measured_is_none() -> None:
    empty = EndOfTurnResult({}, {}, {}, {}, False).as_dict()
    assert empty["false_cutoffs_300"] is None
    assert math.isnan(Curve(np.zeros((0, 2))).cutoffs_at(300))


# ---------------------------------------------------------------- calls


def test_a_tail_is_made_of_the_recordings_own_noise() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.01, 20000).astype(np.float32)
    longer = with_tail(samples, 12000)
    assert len(longer) == 12000 + TAIL_SAMPLES
    assert np.isin(longer[20000:], samples[13600:]).all()
    assert with_tail(longer, 12000) is longer


def test_what_the_recogniser_gets_does_not_reach_into_the_turn_before() -> None:
    samples = np.zeros(40000, np.float32)
    first = Stretch(10000, 20000, 21024, -20)
    assert len(clip(samples, 9000, first, 21024)) == 2 * (21024 - 9000)
    assert len(clip(samples, 0, first, 21024)) == 2 * (21024 - 10000 + 2400)


def test_pauses_of_a_turn() -> None:
    spoken = (Stretch(0, 8000, 9024, -20), Stretch(10400, 16000, 17024, -20))
    assert Turn("sentence", 0, 0, spoken).pauses_ms == [300.0]


def corpus(tmp_path: Path, rows: list[dict[str, object]]) -> Path:
    folder = tmp_path / "phone_calls"
    folder.mkdir()
    for row in rows:
        sf.write(folder / str(row["file"]), np.zeros(800), 8000)
    lines = "\n".join(json.dumps(row) for row in rows)
    (folder / "transcripts.jsonl").write_text(lines)
    return tmp_path


def row(name: str, session: str, kind: str = "sentence", said: str = "hi") -> dict[str, object]:
    return {"file": name, "session": session, "kind": kind, "transcription": said}


def known_as(monkeypatch: pytest.MonkeyPatch, name: str, session: str) -> None:
    ours = Examined(Origin("phone_calls", session))
    monkeypatch.setattr(
        end_of_turn_calls, "examine", lambda path: ours if path.name == name else Examined()
    )


def test_only_what_the_model_has_not_seen_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_as(monkeypatch, "b.wav", min(trained_on()))
    rows = [
        row("a.wav", "never heard of"),
        row("b.wav", "renamed"),
        row("e.wav", min(trained_on())),  # another's session of that name
        row("c.wav", "never heard of", kind="keyword"),
        row("d.wav", "never heard of", said="hi [voices]"),
    ]
    found, is_held_out = read(corpus(tmp_path, rows), None)
    assert [recording.name for recording in found] == ["never heard of", min(trained_on())]
    assert is_held_out


def test_where_all_was_seen_all_is_read_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_as(monkeypatch, "b.wav", min(trained_on()))
    found, is_held_out = read(corpus(tmp_path, [row("b.wav", min(trained_on()))]), None)
    assert len(found) == 1
    assert not is_held_out


def test_a_limit_takes_the_same_ones_each_time(tmp_path: Path) -> None:
    directory = corpus(tmp_path, [row(f"{i}.wav", f"never {i}") for i in range(9)])
    found, again = read(directory, 4)[0], read(directory, 4)[0]
    assert [r.name for r in found] == [r.name for r in again]
    assert len(found) == 4


def test_mistakes_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="holds no sentences"):
        read(tmp_path, None)
    (corpus(tmp_path, []) / "phone_calls" / "transcripts.jsonl").write_text("{}\n")
    with pytest.raises(UserMistake, match=r"transcripts\.jsonl:1"):
        read(tmp_path, None)
