import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.errors import ModelUnavailable
from voicebot.events import SpeechEnded, SpeechStarted
from voicebot.turns import vad
from voicebot.turns.vad import WINDOW_SAMPLES, SileroVad, SpeechDetector

pytestmark = pytest.mark.unit

SHARED = Path(__file__).parents[2].parent / "shared" / "audio"
needs_recordings = pytest.mark.skipif(not SHARED.is_dir(), reason="no recordings here")


@pytest.fixture(scope="module")
def silero() -> SileroVad:
    return SileroVad(128)


@pytest.fixture(autouse=True)
def clean_slots(silero: SileroVad) -> None:
    for slot in range(128):
        silero.reset(slot)


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Something that Silero takes for speech: a gliding pulse train through two formants."""
    rng = np.random.default_rng(seed)
    length = int(seconds * 8000)
    t = np.arange(length) / 8000
    pitch = 120 * (1 + 0.1 * np.sin(2 * np.pi * 3 * t) + 0.02 * rng.standard_normal())
    source = np.zeros(length)
    phase = np.cumsum(pitch / 8000)
    source[np.flatnonzero(np.diff(np.floor(phase)))] = 1.0
    for hz in (600, 1300, 2500):
        decay = np.exp(-np.arange(80) * 0.04) * np.cos(2 * np.pi * hz * np.arange(80) / 8000)
        source = np.convolve(source, decay)[:length]
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)
    return (0.1 * source * syllables / np.abs(source).max()).astype(np.float32)


def windows_of(samples: np.ndarray) -> np.ndarray:
    return samples[: len(samples) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)


def listen(silero: SileroVad, slot: int, samples: np.ndarray) -> np.ndarray:
    slots = np.array([slot])
    return np.array([silero.probabilities(slots, w[None])[0] for w in windows_of(samples)])


# ---------------------------------------------------------------- the net


def test_tells_voice_from_hiss(silero: SileroVad) -> None:
    hiss = (0.01 * np.random.default_rng(1).standard_normal(8000)).astype(np.float32)
    probabilities = listen(silero, 5, np.concatenate((hiss, voice(1.0))))
    assert probabilities[:31].max() < 0.3
    assert np.median(probabilities[35:]) > 0.5


def test_batch_gives_what_single_calls_give(silero: SileroVad) -> None:
    calls = np.stack([windows_of(voice(1.5, seed)) * (seed + 1) / 8 for seed in range(8)])
    slots = np.array([9, 3, 0, 77, 41, 12, 8, 120])
    together = np.stack([silero.probabilities(slots, w) for w in calls.swapaxes(0, 1)], axis=1)
    for row in range(8):
        alone = listen(silero, 100 + row, calls[row].ravel())
        assert np.abs(together[row] - alone).max() < 1e-4


def test_calls_keep_their_state_when_the_batch_changes(silero: SileroVad) -> None:
    """Slot 1 pauses while slot 0 goes on: neither notices the other."""
    calls = windows_of(voice(1.0, 1)), windows_of(voice(1.0, 2))
    heard: tuple[list[float], list[float]] = ([], [])
    for index in range(len(calls[0])):
        heard[0].append(silero.probabilities(np.array([0]), calls[0][index][None])[0])
        if index % 2 == 0:
            both = np.stack((calls[1][index // 2], voice(0.032, index)))
            heard[1].append(silero.probabilities(np.array([1, 2]), both)[0])
    alone = [listen(silero, slot, call.ravel()) for slot, call in ((10, calls[0]), (11, calls[1]))]
    assert np.allclose(heard[0], alone[0], atol=1e-4)
    assert np.allclose(heard[1], alone[1][: len(heard[1])], atol=1e-4)


def test_reset_gives_a_fresh_call(silero: SileroVad) -> None:
    first = listen(silero, 4, voice(1.0))
    silero.reset(4)
    assert np.array_equal(listen(silero, 4, voice(1.0)), first)


def test_empty_batch_and_extreme_samples(silero: SileroVad) -> None:
    assert len(silero.probabilities(np.array([], np.intp), np.zeros((0, 256), np.float32))) == 0
    square = np.sign(np.sin(np.arange(4096))).astype(np.float32)
    probabilities = listen(silero, 0, np.concatenate((square, np.zeros(4096, np.float32))))
    assert np.isfinite(probabilities).all()


def test_missing_model_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vad, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable) as error:
        SileroVad(1)
    assert "pip install" in str(error.value)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- the detector

Events = list[SpeechStarted | SpeechEnded]


def feed(detector: SpeechDetector, probabilities: list[float], at: int = 0) -> Events:
    events: Events = []
    for index, probability in enumerate(probabilities):
        events += detector.feed(at + index * WINDOW_SAMPLES, probability)
    return events


def test_speech_starts_at_its_first_window_and_ends_at_its_last() -> None:
    events = feed(SpeechDetector(), [0.0] * 10 + [0.9] * 10 + [0.0] * 10)
    assert events == [
        SpeechStarted(at=10 * 256, detected_at=13 * 256),
        SpeechEnded(at=17 * 256 - 1, detected_at=24 * 256),
    ]


def test_a_click_is_not_speech() -> None:
    assert feed(SpeechDetector(), ([0.0] * 5 + [0.9] * 2) * 10) == []


def test_shorter_than_the_pause_is_one_utterance() -> None:
    events = feed(SpeechDetector(), [0.9] * 5 + [0.0] * 3 + [0.9] * 5 + [0.0] * 7)
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]
    assert events[1].at == 10 * 256 - 1


def test_speech_may_be_beginning_before_that_is_known() -> None:
    detector = SpeechDetector()
    rising = []
    for index, probability in enumerate([0.0, 0.9, 0.9, 0.0, 0.9, 0.9, 0.9, 0.9]):
        feed(detector, [probability], at=index * 256)
        rising.append(detector.is_rising)
    assert rising == [False, True, True, False, True, True, False, False]


def test_between_the_thresholds_nothing_changes() -> None:
    assert feed(SpeechDetector(), [0.3] * 50) == []
    speaking = SpeechDetector()
    assert len(feed(speaking, [0.9] * 4 + [0.3] * 50)) == 1
    assert speaking.is_speaking
    # a window between them neither cuts a beginning short nor a silence
    assert len(feed(SpeechDetector(), [0.9, 0.3, 0.9])) == 1
    assert len(feed(SpeechDetector(), [0.9] * 3 + [0.0, 0.3] * 3 + [0.0])) == 2


def test_lengths_are_settings() -> None:
    quick = SpeechDetector(min_speech_ms=32, min_silence_ms=64)
    assert feed(quick, [0.9, 0.0, 0.0]) == [SpeechStarted(0, 256), SpeechEnded(255, 768)]


def test_reset_drops_speech_without_an_event() -> None:
    detector = SpeechDetector()
    feed(detector, [0.9] * 5)
    detector.reset()
    assert feed(detector, [0.0] * 20, at=5 * 256) == []


@given(st.lists(st.floats(0, 1), max_size=300))
def test_events_alternate_in_time(probabilities: list[float]) -> None:
    events = feed(SpeechDetector(), probabilities)
    for index, event in enumerate(events):
        assert isinstance(event, SpeechEnded if index % 2 else SpeechStarted)
        assert event.at < event.detected_at <= len(probabilities) * WINDOW_SAMPLES
    times = [event.at for event in events]
    assert times == sorted(times)


# ---------------------------------------------------------------- real calls


@pytest.mark.recordings
@needs_recordings
def test_explicit_state_equals_the_packages_own_wrapper(silero: SileroVad) -> None:
    """On a real call without 2 s of quiet in it."""
    torch = pytest.importorskip("torch")
    from silero_vad.utils_vad import OnnxWrapper

    from voicebot.audio.files import read_audio

    samples, _ = read_audio(SHARED / "phone_calls" / "00000" / "WUWII00000_006.wav")
    reference = OnnxWrapper(str(vad._model_path()), force_onnx_cpu=True)
    expected = [
        float(reference(torch.from_numpy(w.copy()), 8000)[0, 0]) for w in windows_of(samples)
    ]
    heard = listen(silero, 3, samples)
    assert max(expected) > 0.9
    assert np.abs(heard - np.array(expected)).max() < 1e-4


def sample_of_keywords(count: int) -> list[tuple[dict[str, float], np.ndarray]]:
    """(transcript, samples) of single words on landline, cell and speakerphone."""
    from voicebot.audio.files import read_audio

    folder = SHARED / "phone_calls"
    rows = [json.loads(line) for line in (folder / "transcripts.jsonl").read_text().splitlines()]
    words = [r for r in rows if r["kind"] == "keyword" and r["text"] and not r["unclear"]]
    chosen = random.Random(7).sample(words, count)
    return [(row, read_audio(folder / row["file"])[0]) for row in chosen]


def onset_delays_ms(
    silero: SileroVad, before: np.ndarray, words: list[tuple[dict[str, float], np.ndarray]]
) -> list[float]:
    """Delay of each word that is detected in time, when it follows the audio `before`."""
    calls = [windows_of(np.concatenate((before, samples))) for _, samples in words]
    detectors = [SpeechDetector() for _ in calls]
    starts: list[list[float]] = [[] for _ in calls]
    for index in range(max(map(len, calls))):
        slots = np.array([n for n, call in enumerate(calls) if index < len(call)])
        batch = np.stack([calls[n][index] for n in slots])
        for n, probability in zip(slots, silero.probabilities(slots, batch), strict=True):
            for event in detectors[n].feed(index * WINDOW_SAMPLES, float(probability)):
                if isinstance(event, SpeechStarted):
                    starts[n].append((event.detected_at - len(before)) / 8)
    return [
        found[0] - 1000 * row["keyword_start_s"]
        for (row, _), times in zip(words, starts, strict=True)
        if (found := [t for t in times if 0 <= t <= 1000 * row["keyword_end_s"] + 300])
    ]


@pytest.mark.recordings
@needs_recordings
def test_keywords_of_real_calls_are_heard(silero: SileroVad) -> None:
    delays_ms = onset_delays_ms(silero, np.zeros(0, np.float32), sample_of_keywords(100))
    assert len(delays_ms) >= 95
    assert np.median(delays_ms) <= 140
    assert np.percentile(delays_ms, 90) <= 250


@pytest.mark.recordings
@needs_recordings
def test_music_does_not_deafen(silero: SileroVad, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 s of music before a word; without fading the state, words get lost."""
    rng, t = np.random.default_rng(0), np.arange(2000) / 8000
    chords = rng.choice([262, 330, 392, 523, 659, 784], (80, 3))
    tones = np.sin(2 * np.pi * chords[:, :, None] * t).sum(axis=1) * np.exp(-6 * t)
    music = (0.05 * tones).ravel().astype(np.float32)
    words = sample_of_keywords(40)
    heard = len(onset_delays_ms(silero, music, words))
    monkeypatch.setattr(vad, "_QUIET_WINDOWS", 10**9)
    heard_without = len(onset_delays_ms(silero, music, words))
    assert heard >= 38
    assert heard > heard_without
