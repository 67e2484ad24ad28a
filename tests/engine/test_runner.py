import numpy as np
import pytest
import torch
from fakes import LoudnessVad, ScriptedRecogniser

from voicebot.audio import mulaw
from voicebot.engine.runner import RING_S, WINDOW, Chunk, Runner
from voicebot.engine.scheduler import Job, JobKind
from voicebot.events import Hypothesis, Word

pytestmark = pytest.mark.unit

CHUNK = 160


def tone(samples: int, level: int = 8000) -> bytes:
    wave = np.sin(np.arange(samples) * 2 * np.pi * 440 / 8000) * level
    return mulaw.encode(wave.astype(np.int16))


def runner(slots: int = 4) -> Runner:
    return Runner(slots, LoudnessVad(), ScriptedRecogniser(lambda s: str(len(s))))  # type: ignore[arg-type]


def test_windows_are_cut_from_chunks_and_placed_on_the_clock() -> None:
    made = runner()
    for number in range(8):  # 1280 samples: five windows
        made.write(2, number * CHUNK, tone(CHUNK))
    results = made.advance([2])
    assert [result.at for result in results] == [0, 256, 512, 768, 1024]
    assert all(result.slot == 2 and result.probability == 1.0 for result in results)
    assert made.advance([2]) == []


def test_all_slots_with_a_full_window_share_a_batch() -> None:
    vad = LoudnessVad()
    made = Runner(4, vad, None)  # type: ignore[arg-type]
    for slot in range(3):
        made.write(slot, 0, tone(WINDOW))
    made.write(3, 0, tone(CHUNK))
    assert {result.slot for result in made.advance([0, 1, 2, 3])} == {0, 1, 2}
    assert vad.batches == [3]


def test_gap_becomes_silence_and_the_past_is_not_rewritten() -> None:
    made = runner()
    made.write(0, 0, tone(CHUNK))
    made.write(0, 3 * CHUNK, tone(CHUNK))
    assert not made.span(0, CHUNK, 3 * CHUNK).any()
    before = made.span(0, 0, 4 * CHUNK).copy()
    made.write(0, 0, tone(CHUNK, 100))
    assert (made.span(0, 0, 4 * CHUNK) == before).all()


def test_span_survives_the_end_of_the_ring() -> None:
    made = runner()
    chunk = tone(8000)
    for second in range(RING_S + 3):
        made.write(0, second * 8000, chunk)
        made.advance([0])
    last = made.span(0, (RING_S + 1) * 8000, (RING_S + 3) * 8000)
    assert (last == np.tile(mulaw.decode(chunk), 2)).all()
    assert len(made.span(0, 0, (RING_S + 3) * 8000)) == RING_S * 8000


def test_gap_longer_than_the_ring_is_survived() -> None:
    made = runner()
    made.write(0, 0, tone(CHUNK))
    made.write(0, 10 * RING_S * 8000, tone(CHUNK))
    assert len(made.span(0, 0, 10 * RING_S * 8000 + CHUNK)) == RING_S * 8000
    assert made.advance([0])


def test_a_new_call_finds_a_clean_slot() -> None:
    made = runner()
    made.write(1, 0, tone(WINDOW))
    made.reset(1)
    assert len(made.span(1, 0, WINDOW)) == 0
    assert made.advance([1]) == []


def test_recogniser_gets_the_span_at_its_own_rate() -> None:
    made = runner()
    made.write(0, 0, tone(8000))
    jobs = [Job(0, 1, 1, JobKind.PARTIAL, 800, 4800), Job(0, 1, 1, JobKind.FINAL, 0, 8000)]
    found = made.recognise(jobs)
    assert [hypothesis.text for hypothesis in found] == ["8000", "16000"]
    assert [(one.start_at, one.end_at) for one in found] == [(800, 4800), (0, 8000)]
    assert len(made.recognise(jobs)[1].nbest) == 3
    assert len(made.recognise(jobs[:1])[0].nbest) == 1


@pytest.mark.parametrize(("confidence", "text"), [(0.3, ""), (0.9, "Two, two.")])
def test_no_words_are_heard_in_a_hum_but_sure_ones(confidence: float, text: str) -> None:
    class Inventing(ScriptedRecogniser):
        def transcribe(self, batch, **_):  # type: ignore[no-untyped-def]
            return [Hypothesis("Two, two.", confidence=confidence) for _ in batch]

    made = Runner(1, LoudnessVad(), Inventing(str))  # type: ignore[arg-type]
    made.write(0, 0, tone(8000))
    assert made.recognise([Job(0, 1, 1, JobKind.FINAL, 0, 8000)])[0].text == text


class Reading(ScriptedRecogniser):
    """Keeps in drafts what it read, as the recogniser does, and says how long that was."""

    def transcribe(self, batch, *, drafts, **_):  # type: ignore[no-untyped-def]
        for samples, draft in zip(batch, drafts, strict=True):
            draft.samples, draft.frames = len(samples), torch.zeros(1, 1)
        return [Hypothesis(str(len(samples)), confidence=0.9) for samples in batch]


def test_a_final_reads_no_silence_after_what_was_read_already() -> None:
    made = Runner(1, LoudnessVad(), Reading(str))  # type: ignore[arg-type]
    quiet = mulaw.SILENCE * (6 * WINDOW)
    made.hear([Chunk(0, 0, tone(16 * WINDOW) + quiet + tone(4 * WINDOW) + quiet)])

    def read(kind: JobKind, windows: int, utterance: int = 1) -> tuple[str, int]:
        (heard,) = made.recognise([Job(0, 1, utterance, kind, 0, windows * WINDOW)])
        return heard.text, heard.end_at

    assert read(JobKind.PARTIAL, 18) == (str(36 * WINDOW), 18 * WINDOW)
    assert read(JobKind.SPECULATIVE, 21) == (str(36 * WINDOW), 21 * WINDOW)
    assert read(JobKind.FINAL, 22) == (str(36 * WINDOW), 22 * WINDOW)
    assert read(JobKind.PARTIAL, 22) == (str(44 * WINDOW), 22 * WINDOW), "a final keeps no frames"
    assert read(JobKind.FINAL, 30) == (str(60 * WINDOW), 30 * WINDOW), "more was said"
    assert read(JobKind.FINAL, 32, utterance=2) == (str(64 * WINDOW), 32 * WINDOW)


@pytest.mark.parametrize("is_timed", [False, True])
def test_words_have_times_on_the_calls_clock_only_where_they_are_asked_for(is_timed: bool) -> None:
    class Timing(ScriptedRecogniser):
        def transcribe(self, batch, *, drafts, **_):  # type: ignore[no-untyped-def]
            at = (100, 300) if drafts[0].is_timed else (None, None)
            return [Hypothesis("yes", (Word("yes", 0.9, *at),), 0.9) for _ in batch]

    made = Runner(1, LoudnessVad(), Timing(str), word_times=is_timed)  # type: ignore[arg-type]
    made.write(0, 0, tone(8000))
    (word,) = made.recognise([Job(0, 1, 1, JobKind.FINAL, 800, 8000)])[0].words
    assert (word.start_at, word.end_at) == ((900, 1100) if is_timed else (None, None))


def test_what_one_caller_said_is_never_the_next_ones() -> None:
    made = Runner(1, LoudnessVad(), Reading(str))  # type: ignore[arg-type]
    audio = tone(16 * WINDOW) + mulaw.SILENCE * (6 * WINDOW)
    made.hear([Chunk(0, 0, audio)])
    made.recognise([Job(0, 1, 1, JobKind.PARTIAL, 0, 18 * WINDOW)])
    (same,) = made.recognise([Job(0, 1, 1, JobKind.SPECULATIVE, 0, 21 * WINDOW)])
    (other,) = made.recognise([Job(0, 2, 1, JobKind.SPECULATIVE, 0, 21 * WINDOW)])
    assert (same.text, other.text) == (str(36 * WINDOW), str(42 * WINDOW)), "another call"
    made.recognise([Job(0, 2, 1, JobKind.PARTIAL, 0, 18 * WINDOW)])
    made.reset(0)
    made.hear([Chunk(0, 0, audio)])
    (after,) = made.recognise([Job(0, 2, 1, JobKind.SPECULATIVE, 0, 21 * WINDOW)])
    assert after.text == str(42 * WINDOW), "the slot was reset"


class Ended:
    def probabilities(self, batch):  # type: ignore[no-untyped-def]
        return np.array([len(samples) / 16000 for samples in batch], np.float32)


def test_without_a_recogniser_only_the_end_of_a_turn_is_judged() -> None:
    made = Runner(2, LoudnessVad(), None, smart_turn=Ended())
    made.hear([Chunk(0, 0, tone(8000))])
    (early,) = made.recognise([Job(0, 1, 1, JobKind.SPECULATIVE, 0, 4000)])
    assert (early.text, early.end_probability, early.end_at) == ("", 0.5, 4000)
    (final,) = made.recognise([Job(0, 1, 1, JobKind.FINAL, 0, 4000)])
    assert (final.text, final.end_probability) == ("", None)


class Length:
    """Answers by how much audio it gets."""

    lead_samples, threshold = 4000, 0.5

    def spot(self, recogniser, audio):  # type: ignore[no-untyped-def]
        return [len(samples) / 32000 for samples in audio]


def test_the_hot_word_is_looked_for_without_recognising_words() -> None:
    made = Runner(1, LoudnessVad(), object(), hot_word=Length())  # type: ignore[arg-type]
    made.hear([Chunk(0, 0, tone(16000))])
    (found,) = made.recognise([Job(0, 1, 1, JobKind.HOTWORD, 8000, 16000)])
    assert found.hotword_probability == pytest.approx(0.75), "with the lead before the window"
    assert (found.text, found.start_at, found.end_at) == ("", 8000, 16000)
