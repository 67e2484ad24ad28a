"""The evaluation of turns: what is worked out of traces, and calls made of small recordings."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from voicebot.audio.dtmf import generate
from voicebot.engine.hearing import Hearing
from voicebot.engine.runner import Result, Runner
from voicebot.engine.scheduler import Job
from voicebot.errors import UserMistake
from voicebot.evaluation import (
    turns_corpus,
    turns_digits,
    turns_floor,
    turns_keys,
    turns_noise,
    turns_onset,
    turns_response,
    turns_robust,
)
from voicebot.evaluation.parts import make_runner
from voicebot.evaluation.turns_corpus import (
    KEYWORDS,
    Clip,
    Corpus,
    _digits,
    levelled,
    load_corpus,
    telephone,
    trimmed,
)
from voicebot.evaluation.turns_expectations import questions
from voicebot.evaluation.turns_floor import Outcome, Trial
from voicebot.evaluation.turns_lines import LINES, PACKETS, FlakyRunner
from voicebot.evaluation.turns_result import TurnsResult
from voicebot.evaluation.turns_robust import Row
from voicebot.evaluation.turns_table import MARKS
from voicebot.evaluation.turns_trace import (
    ROUND_TRIP,
    Piece,
    Sent,
    heard_pieces,
    words_lost,
    words_until,
)
from voicebot.evaluation.turns_track import add, line_noise, say
from voicebot.events import Hypothesis, PhraseEnd, SpokenPrompt

pytestmark = pytest.mark.unit

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "audio"
PROMPT = SpokenPrompt(
    "one two three four",
    bytes(range(1, 101)) + bytes(range(101, 201)) + b"\x05" * 50 + bytes(range(50, 200)),
    (PhraseEnd(100, 3), PhraseEnd(200, 7), PhraseEnd(250, 13), PhraseEnd(400, 18)),
)


def tone(seconds: float, hz: float = 300.0, level: float = 0.1) -> NDArray[np.float32]:
    at = np.arange(int(seconds * 8000)) / 8000
    return np.asarray(level * np.sin(2 * np.pi * hz * at), np.float32)


# ---------------------------------------------------------------- traces


def test_a_prompt_heard_without_a_break_is_heard_back_to_back() -> None:
    log = [Sent(0, "media", PROMPT.mulaw[:150]), Sent(20, "media", PROMPT.mulaw[150:])]
    assert heard_pieces(log, PROMPT, 0, 1000) == [
        Piece(ROUND_TRIP, ROUND_TRIP + 150, 0),
        Piece(ROUND_TRIP + 150, ROUND_TRIP + 400, 150),
    ]


def test_a_clear_cuts_what_is_played_and_drops_what_waits() -> None:
    log = [
        Sent(0, "media", PROMPT.mulaw[:150]),
        Sent(10, "media", PROMPT.mulaw[150:300]),
        Sent(60, "clear", ""),
        Sent(500, "media", PROMPT.mulaw[100:400]),
    ]
    assert heard_pieces(log, PROMPT, 0, 1000) == [
        Piece(ROUND_TRIP, ROUND_TRIP + 60, 0),
        Piece(ROUND_TRIP + 500, ROUND_TRIP + 800, 100),
    ]


def test_a_resumption_in_a_pause_is_where_it_stopped_not_in_an_earlier_pause() -> None:
    silence = b"\xff" * 300
    prompt = SpokenPrompt("a b", silence + b"\x01" * 100 + silence + b"\x02" * 100)
    log = [
        Sent(0, "media", prompt.mulaw[:500]),
        Sent(480, "clear", ""),
        Sent(1000, "media", prompt.mulaw[450:650]),
        Sent(1200, "media", prompt.mulaw[650:]),
    ]
    assert [piece.place for piece in heard_pieces(log, prompt, 0, 2000)] == [0, 450, 650]


def test_what_was_sent_before_the_prompt_is_another_one() -> None:
    log = [Sent(0, "media", b"zz"), Sent(100, "media", PROMPT.mulaw)]
    assert heard_pieces(log, PROMPT, 50, 1000)[0].place == 0
    with pytest.raises(ValueError, match="not of this prompt"):
        heard_pieces(log, PROMPT, 0, 1000)


@pytest.mark.parametrize(("place", "words"), [(0, 0), (99, 0), (100, 1), (249, 2), (400, 4)])
def test_words_count_once_they_are_complete(place: int, words: int) -> None:
    assert words_until(PROMPT, place) == words


def test_a_resumption_from_a_word_before_loses_nothing() -> None:
    assert words_lost(PROMPT, [Piece(0, 150, 0), Piece(500, 800, 100)]) == 0


def test_a_resumption_behind_where_it_stopped_loses_the_words_between() -> None:
    assert words_lost(PROMPT, [Piece(0, 150, 0), Piece(500, 650, 250)]) == 2


def test_a_prompt_that_is_not_ended_loses_the_rest() -> None:
    assert words_lost(PROMPT, [Piece(0, 200, 0)]) == 2
    assert words_lost(PROMPT, []) == 4


# ---------------------------------------------------------------- tracks and noises


def test_a_clip_begins_with_its_speech_where_it_is_said() -> None:
    track = np.zeros(4000, np.float32)
    samples = np.concatenate([np.zeros(100, np.float32), np.ones(200, np.float32)])
    say(track, 1000, Clip("keyword", "", "", "", samples, 100, 300))
    assert np.array_equal(np.flatnonzero(track), np.arange(1000, 1200))
    assert track.max() == 1.0


def test_what_does_not_fit_the_track_is_left_out() -> None:
    track = np.zeros(100, np.float32)
    add(track, -50, np.ones(100, np.float32))
    add(track, 90, np.ones(100, np.float32))
    assert np.array_equal(np.flatnonzero(track), [*range(50), *range(90, 100)])


def test_line_noise_has_the_level_and_the_band_of_the_line() -> None:
    rng = np.random.default_rng(0)
    stretch = np.asarray(0.01 * rng.standard_normal(8000), np.float32)
    spectrum = np.fft.rfft(stretch)
    spectrum[2000:] = 0  # nothing above 2 kHz
    stretch = np.fft.irfft(spectrum).astype(np.float32)
    noise = line_noise(16000, stretch, rng)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(np.sqrt(np.mean(stretch**2)), rel=0.1)
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert power[5000:].sum() < 0.05 * power.sum()
    assert len(line_noise(160, None, rng)) == 160


@pytest.mark.parametrize("make", [turns_noise.music, turns_noise.humming])
def test_noises_are_the_same_for_a_seed_and_differ_between_seeds(make: object) -> None:
    assert callable(make)
    one, same, other = make(1.0, 1), make(1.0, 1), make(1.0, 2)
    assert one.shape == (8000,)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.sqrt(np.mean(one**2)) == pytest.approx(turns_noise.RMS, rel=0.05)


def test_a_hummed_nod_is_two_hums_with_a_dip() -> None:
    samples = turns_noise.hummed_nod(120.0, 0)
    level = np.sqrt(np.mean(samples[: len(samples) // 80 * 80].reshape(-1, 80) ** 2, axis=1))
    assert len(samples) == 3600
    assert level[18:21].max() < 0.3 * level[5:12].max()
    assert level[30:38].max() > level[18:21].max() * 3


def test_the_telephone_band_keeps_speech_and_sets_the_level() -> None:
    mixed = tone(1.0, 1000) + tone(1.0, 60)
    heard = telephone(mixed)
    power = np.abs(np.fft.rfft(heard)) ** 2
    assert power[55:66].sum() < 0.01 * power[990:1010].sum()
    assert 20 * np.log10(np.sqrt(np.mean(heard**2))) == pytest.approx(-22, abs=0.3)
    assert not len(telephone(np.zeros(0, np.float32)))
    assert not levelled(np.zeros(800, np.float32), -20).any()


def test_trimming_keeps_what_is_within_30_db() -> None:
    quiet, silence = tone(0.1, level=0.01), np.zeros(800, np.float32)
    joined = np.concatenate([silence, tone(0.2), quiet, silence])
    assert len(trimmed(joined)) == 2400


# ---------------------------------------------------------------- bad folders


def test_a_folder_that_does_not_exist_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="no such folder"):
        load_corpus(tmp_path / "none")


def test_a_folder_without_phone_calls_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match=r"transcripts.jsonl: cannot be read"):
        load_corpus(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "jsonl:1: is not JSON"),
        ('{"text": "x"}', 'has no "file"'),
        ('{"file": "a.wav", "session": "1"}', "recordings of 1 caller"),
        ("\n", "recordings of 0 caller"),
    ],
)
def test_transcripts_that_cannot_be_used_are_told_in_one_line(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "phone_calls").mkdir()
    (tmp_path / "phone_calls" / "transcripts.jsonl").write_text(content)
    with pytest.raises(UserMistake, match=re.escape(message)) as told:
        load_corpus(tmp_path)
    assert "\n" not in str(told.value)


# ---------------------------------------------------------------- a small corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices are hums: the VAD takes them for speech or not, the evaluation must not care."""
    root = tmp_path_factory.mktemp("audio")
    calls = root / "phone_calls"
    calls.mkdir()
    rows = []
    silence = np.zeros(4000, np.float32)
    rng = np.random.default_rng(0)
    for session in range(3):
        for kind, text, mark in (
            ("keyword", "operator", "[click] Operator"),
            ("sentence", "hi", "hi"),
        ):
            noise = 0.0005 * rng.standard_normal(4000).astype(np.float32)
            if kind == "keyword":
                noise[2000:2080] = 0.05
            voice = turns_noise.humming(0.6, session)
            name = f"{session}_{kind}.wav"
            joined = np.concatenate([noise, voice, silence])
            soundfile.write(calls / name, joined, 8000, subtype="ULAW")
            rows.append(
                {
                    "file": name,
                    "session": f"s{session}",
                    "kind": kind,
                    "phone": "cellphone",
                    "text": text,
                    "transcription": mark,
                    "keyword_start_s": 0.5,
                }
            )
    (calls / "transcripts.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for sub in ("barista", "digits", "noise"):
        (root / sub).mkdir()
    labels = {"a": {"intent": "orderDrink", "slots": {"coffeeDrink": "latte", "size": "large"}}}
    (root / "barista" / "labels.json").write_text(json.dumps(labels))
    soundfile.write(root / "barista" / "a.flac", turns_noise.humming(1.0, 9), 16000)
    for digit in range(10):
        sound = turns_noise.humming(0.3, digit)
        soundfile.write(root / "digits" / f"{digit}_anna_0.flac", sound, 8000)
    soundfile.write(root / "noise" / "kitchen.flac", turns_noise.music(5.0, 0), 16000)
    return root


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return load_corpus(folder)


def test_the_corpus_is_read_as_it_is_laid_out(corpus: Corpus) -> None:
    assert not corpus.is_held_out, "three sessions: all of them speak"
    assert [clip.text for clip in corpus.keywords] == ["operator"] * 3
    assert len(corpus.sentences) == 3
    assert [clip.kind for clip in corpus.orders] == ["order"]
    assert set(corpus.digits) == {"anna"}
    assert {clip.text for clip in corpus.bursts} == {"click"}
    assert not corpus.fillers, "they are of recordings that are not here"
    assert corpus.order_values == {"coffeeDrink": ("latte",), "size": ("large",)}


def test_digits_come_from_speakers_that_training_never_heard(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_corpus, "was_heard", lambda path: path.name[2:] == "jackson_0.flac")
    digits = tmp_path / "digits"
    digits.mkdir()
    for path in (folder / "digits").glob("*_anna_*.flac"):
        for speaker in ("anna", "jackson"):
            shutil.copy(path, digits / path.name.replace("anna", speaker))
    assert set(_digits(digits)) == {"anna"}
    for path in digits.glob("*_anna_*.flac"):
        path.unlink()
    assert set(_digits(digits)) == {"jackson"}, "rather than none"


def test_nods_and_answers_are_marked_as_synthetic(corpus: Corpus) -> None:
    assert all(clip.is_synthetic for clip in (*corpus.nods, *corpus.answers))
    assert not any(clip.is_synthetic for clip in (*corpus.keywords, *corpus.sentences))
    assert {"uh huh", "mm hm", "I see"} <= {clip.text for clip in corpus.nods}


def test_keywords_are_those_of_the_recordings() -> None:
    assert "operator" in KEYWORDS


def test_a_broken_recording_is_a_users_mistake(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "audio"
    shutil.copytree(folder, copy)
    (copy / "phone_calls" / "0_keyword.wav").write_bytes(b"no audio")
    with pytest.raises(UserMistake, match=r"0_keyword\.wav"):
        load_corpus(copy)
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    for path in (copy / "digits").glob("7_*"):
        path.unlink()
    with pytest.raises(UserMistake, match="no speaker of all ten digits"):
        load_corpus(copy)


# ---------------------------------------------------------------- judgements


@pytest.fixture(scope="module")
def outcomes(corpus: Corpus) -> list[Outcome]:
    """Two that want the floor, of which one gets it; three nods, of which one does."""
    question = questions(corpus)["open"]
    taker, nod = corpus.keywords[0], corpus.nods[0]
    want = Trial(taker, question, 0, 8000, 12000, 90000, is_speakerphone=False)
    nodded = Trial(nod, question, 0, 8000, 12000, 90000, is_speakerphone=True)
    return [
        Outcome(want, candidate_ms=130, took_floor=True, yield_ms=250.0, words_off=-1),
        Outcome(want, is_finished=True),
        Outcome(want, is_spoiled=True, took_floor=True, yield_ms=-500.0),
        Outcome(nodded, is_finished=True),
        Outcome(nodded, candidate_ms=140, is_finished=True, delay_ms=800.0, lost_words=0),
        Outcome(nodded, candidate_ms=140, took_floor=True, yield_ms=300.0),
    ]


def result_of(outcomes: Sequence[Outcome]) -> TurnsResult:
    return TurnsResult([], outcomes, [], [], [], [], [Row("quiet line")], {}, is_held_out=False)


def test_yield_and_selectivity_are_counted_together(outcomes: list[Outcome]) -> None:
    of = result_of(outcomes).as_dict()
    assert of["yield_rate"] == 0.5
    assert of["yield_mean_ms"] == 250.0, "neither the spoiled one nor the nod counts"
    assert of["backchannel_selectivity"] == pytest.approx(2 / 3, abs=1e-3)
    assert of["backchannel_unpaused"] == pytest.approx(1 / 3, abs=1e-3)
    assert of["heard_words_off_p95"] == 1.0
    assert of["resume_tried"] == 1
    assert of["resume_delay_p50_ms"] == 800.0
    assert of["floor_spoiled"] == 1
    assert len(of["failures"]) == 2


def test_a_nod_after_which_the_prompt_stalls_is_not_passed_over(outcomes: list[Outcome]) -> None:
    stalled = replace(outcomes[4], is_finished=False)
    of = result_of([*outcomes[:4], stalled]).as_dict()
    assert of["backchannel_selectivity"] == 0.5
    assert of["resume_finished"] == 0.0


def test_the_table_names_what_misses_its_mark_and_what_failed(outcomes: list[Outcome]) -> None:
    text = result_of(outcomes).table()
    assert re.search(r"yield rate +50\.0 % +>= 99 +missed", text)
    assert re.search(r"yield, mean +250 ms +<= 350$", text, re.MULTILINE)
    assert "was not yielded to: nothing was noticed" in text
    assert "synthetic" in text


def test_every_line_of_the_table_is_a_figure(outcomes: list[Outcome]) -> None:
    of = result_of(outcomes).as_dict()
    assert set(MARKS) <= set(of)
    json.dumps(of, allow_nan=False)


def test_a_picture_is_drawn_and_one_that_cannot_be_written_is_told(
    outcomes: list[Outcome], tmp_path: Path
) -> None:
    result_of(outcomes).plot(tmp_path / "turns.png")
    assert (tmp_path / "turns.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserMistake, match="cannot be written"):
        result_of(outcomes).plot(tmp_path / "none" / "turns.png")


# ---------------------------------------------------------------- whole measurements


class LoudIsSpeech:
    """A VAD for voices that are none."""

    def probabilities(
        self, slots: NDArray[np.intp], windows: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        loud = np.mean(windows**2, axis=1) > 1e-4
        return np.where(loud, 0.95, 0.02).astype(np.float32)

    def reset(self, slot: int) -> None:
        """Nothing is remembered."""


class Scripted(Runner):
    """Answers every request with the same words."""

    def __init__(self, slots: int, text: str) -> None:
        super().__init__(slots, LoudIsSpeech(), None)
        self.text = text

    def recognise(self, jobs: Sequence[Job], *, nbest: int = 3) -> list[Hypothesis]:
        return [Hypothesis(self.text, confidence=0.9) for _ in jobs]


def quiet(_: str) -> None:
    """No progress."""


def test_onsets_are_known_after_the_detectors_three_windows(corpus: Corpus) -> None:
    onsets = turns_onset.measure(Scripted(4, ""), 4, corpus, seed=1, quick=False, tell=quiet)
    assert len(onsets) == 12
    loud = [o.latency_ms for o in onsets if not o.is_soft]
    assert all(ms is not None and 60 <= ms <= 160 for ms in loud)
    assert all(o.latency_ms is None for o in onsets if o.is_soft), "-46 dBFS is below its threshold"


def test_who_is_heard_to_want_the_floor_gets_it_and_the_ear_confirms(corpus: Corpus) -> None:
    few = replace(corpus, nods=corpus.nods[-2:], answers=(), orders=(), digits={})
    took = turns_floor.measure(Scripted(4, "operator"), 4, few, seed=1, quick=False, tell=quiet)
    handset = [o for o in took if not o.trial.is_speakerphone and not o.is_spoiled]
    wanted = [o for o in handset if o.trial.wants_floor]
    assert wanted
    assert all(o.took_floor and not o.is_finished for o in wanted)
    for outcome in wanted:
        assert outcome.candidate_ms is not None
        assert outcome.yield_ms == pytest.approx(outcome.candidate_ms + 60, abs=25)
        assert outcome.words_off is not None
        assert abs(outcome.words_off) <= 1


def test_nods_leave_the_floor_and_nothing_of_the_prompt_is_lost(corpus: Corpus) -> None:
    few = replace(corpus, answers=(), orders=(), digits={}, sentences=(), keywords=())
    few = replace(few, nods=corpus.nods[-4:])
    kept = turns_floor.measure(Scripted(2, "mm-hmm"), 2, few, seed=1, quick=False, tell=quiet)
    nods = [o for o in kept if o.trial.clip.kind == "nod" and not o.trial.is_speakerphone]
    assert nods
    assert not any(o.took_floor for o in nods)
    assert all(o.is_finished and o.lost_words == 0 for o in nods)
    assert any((o.delay_ms or 0) > 100 for o in nods), "they were paused for"


def test_a_number_that_may_go_on_is_waited_for(corpus: Corpus) -> None:
    asked = turns_digits.measure(
        Scripted(6, "one two three four"), 6, corpus, seed=1, quick=True, tell=quiet
    )
    assert len(asked) == 12
    known = [o for o in asked if len(o.reading.digits) > 4 and o.reading.is_known_length]
    unknown = [o for o in asked if not o.reading.is_known_length]
    assert len(known) == 6
    for outcome in (*known, *unknown):
        assert not outcome.is_truncated
        share = 4 / 3 if outcome.reading.is_known_length else 1  # some are certainly lacking
        lag = 50
        assert outcome.latency_ms == pytest.approx(1500 * share - lag, abs=60), "digits_ms"
        assert outcome.reason == "incompletetimeout"
    assert {o.understood for o in unknown} == {"1234"}


def test_a_number_ended_early_counts_as_truncated(corpus: Corpus) -> None:
    asked = turns_digits.measure(Scripted(6, "operator"), 6, corpus, seed=1, quick=True, tell=quiet)
    cut = [o for o in asked if len(o.reading.digits) > 4]
    assert cut
    assert any(o.is_truncated and o.latency_ms is None for o in cut)


def test_responses_wait_for_the_recogniser_and_the_endpointer(corpus: Corpus) -> None:
    answered, compute_s = turns_response.measure(
        Scripted(4, "operator"), 4, corpus, seed=1, quick=False, tell=quiet
    )
    keywords = [o for o in answered if o.clip.kind == "keyword"]
    assert len(keywords) == 3
    assert all(o.ms is not None and 100 <= o.ms <= 700 for o in keywords)
    assert all(o.heard == "operator" for o in keywords)
    assert len(compute_s) >= len(answered)


def test_keys_clear_at_once_and_are_taken_early(corpus: Corpus) -> None:
    pressed = turns_keys.measure(make_runner(8, None), 8, corpus, seed=1)
    assert all(o.entered == o.pressed for o in pressed)
    assert {o.ms for o in pressed if o.kind == "signalled"} == {0.0}
    inband = [o.ms for o in pressed if o.kind == "in-band"]
    assert all(ms is not None and 20 <= ms <= 60 for ms in inband)


class Deaf(FlakyRunner):
    """Hears nothing of one slot."""

    def advance(self, slots: Sequence[int]) -> list[Result]:
        return [result for result in super().advance(slots) if result.slot != 0]


def test_disturbances_are_counted_and_calls_decide_afterwards(corpus: Corpus) -> None:
    runner = Scripted(14, "operator")
    rows = turns_robust.measure(runner, 14, corpus, seed=1, quick=True, tell=quiet)
    found = {row.name: row for row in rows}
    assert tuple(found) == turns_robust.ROWS
    assert not any(row.error for row in rows)
    assert found["quiet line"].barge_ins == found["quiet line"].pauses == 0
    assert found["humming, -28 dBFS"].barge_ins > 0, "loud is speech to this VAD"
    assert not any(row.stuck for row in rows)


def test_a_call_that_decides_nothing_is_stuck(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_robust, "ROWS", ("quiet line", "clipped"))
    monkeypatch.setattr(turns_robust, "FlakyRunner", Deaf)
    rows = turns_robust.measure(Scripted(2, "operator"), 2, corpus, seed=1, quick=True, tell=quiet)
    assert [row.stuck for row in rows] == [1, 0]
    assert [row.understood for row in rows] == [0, 1]


def test_what_raises_is_a_row_and_the_others_are_measured(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_robust, "ROWS", ("quiet line", "clipped"))
    monkeypatch.setitem(LINES, "clipped", lambda near: 1 / 0)
    rows = turns_robust.measure(Scripted(2, "operator"), 2, corpus, seed=1, quick=True, tell=quiet)
    assert rows[0].bot_s > 5
    assert rows[1].error == "ZeroDivisionError: division by zero"


class Written(Hearing):
    """Notes what it is given."""

    def __init__(self) -> None:
        super().__init__(1, LoudIsSpeech())
        self.log: list[tuple[int, bytes, bytes]] = []

    def write(self, slot: int, at: int, payload: bytes, reference: bytes = b"") -> None:
        self.log.append((at, payload, reference))


@pytest.mark.parametrize("fault", PACKETS)
def test_faults_lose_or_hold_up_chunks_and_never_their_reference(fault: str) -> None:
    inner = Runner(1, LoudIsSpeech(), None)
    inner.hearing = written = Written()
    flaky = FlakyRunner(inner, {0: fault}, seed=1)
    chunks = [(at, bytes([at // 160 % 256]) * 160) for at in range(0, 160 * 500, 160)]
    for at, payload in chunks:
        flaky.write(0, at, payload, payload)
    reference = b"".join(of for _, _, of in written.log)
    arrived = {at for at, _, _ in written.log}
    assert reference == b"".join(payload for _, payload in chunks)[: len(reference)]
    assert [at for at, _, _ in written.log] == sorted(arrived)
    if fault == PACKETS[0]:
        assert 0.8 < len(arrived) / len(chunks) < 0.97
    else:
        assert len(arrived) > 0.95 * len(chunks)


def test_a_runner_without_faults_passes_on_what_it_is_given() -> None:
    inner = Runner(1, LoudIsSpeech(), None)
    inner.hearing = written = Written()
    FlakyRunner(inner, {}, seed=1).write(0, 0, b"abc", b"def")
    assert written.log == [(0, b"abc", b"def")]


def test_tones_are_keys() -> None:
    assert len(generate("5", tone_ms=45, gap_ms=0)) == 360


# ---------------------------------------------------------------- the recordings


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="needs ../shared/audio")
def test_the_recordings_hold_what_is_needed() -> None:
    corpus = load_corpus(RECORDINGS)
    assert corpus.is_held_out
    assert len(corpus.sentences) > 100
    assert len(corpus.keywords) > 100
    assert len(corpus.fillers) == 8
    assert len(corpus.bursts) >= 10
    assert corpus.digits.keys() == {"george"}, "the others are in the training"
    assert all(clip.onset < clip.end <= len(clip.samples) for clip in corpus.sentences)
