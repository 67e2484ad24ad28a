"""What a simulated caller hears, and the echo that comes back of it."""

import numpy as np
import pytest

from load.callers import PAUSE_S, Track
from load.ear import CHUNK, ECHO_DELAY_CHUNKS, ECHO_LOSS_DB, PEAK, Ear, with_echo
from voicebot.audio import mulaw

pytestmark = pytest.mark.unit

VOICE = mulaw.encode((8000 * np.sin(np.arange(CHUNK) / 3)).astype(np.int16))


def test_the_echo_is_what_was_heard_300_ms_ago() -> None:
    ear = Ear()
    ear.put(VOICE * 2 + VOICE[:40])
    echoes, heard = [], []
    for _ in range(ECHO_DELAY_CHUNKS + 4):
        ear.step()
        heard.append(ear.is_hearing)
        echoes.append(ear.echo())
    assert heard[:5] == [True, True, True, False, False]
    assert [number for number, echo in enumerate(echoes) if echo] == [
        ECHO_DELAY_CHUNKS,
        ECHO_DELAY_CHUNKS + 1,
        ECHO_DELAY_CHUNKS + 2,
    ]
    assert echoes[ECHO_DELAY_CHUNKS] == VOICE


def test_marks_return_once_their_audio_was_heard() -> None:
    ear = Ear()
    ear.put_mark("nothing before it")
    assert ear.step() == ["nothing before it"]
    ear.put(VOICE * 2)
    ear.put_mark("end")
    assert [ear.step(), ear.step(), ear.step()] == [[], ["end"], []]


def test_clear_drops_audio_and_returns_all_marks() -> None:
    ear = Ear()
    ear.put(VOICE * 3)
    ear.put_mark("a")
    ear.put(VOICE)
    ear.put_mark("b")
    ear.step()
    assert ear.clear() == ["a", "b"]
    assert ear.step() == []
    assert not ear.is_hearing


def test_echo_is_weaker_and_only_as_long_as_what_was_heard() -> None:
    near = np.zeros(CHUNK, np.int16)
    mixed = mulaw.decode(with_echo(near, VOICE[:100])).astype(float)
    voice = mulaw.decode(VOICE[:100]).astype(float)
    loss_db = 20 * np.log10(np.std(voice) / np.std(mixed[:100]))
    assert loss_db == pytest.approx(ECHO_LOSS_DB, abs=0.5)
    assert not mixed[100:].any()


def test_the_loudest_caller_with_the_loudest_echo_stays_within_16_bits() -> None:
    near = np.full(CHUNK, PEAK, np.int16)
    loudest = mulaw.encode(np.full(CHUNK, 32767, np.int16))
    assert (mulaw.decode(with_echo(near, loudest)) > PEAK).all()


def test_a_track_is_sentences_with_pauses_and_never_too_loud() -> None:
    loud = (32000 * np.sin(np.arange(8000) / 5)).astype(np.int16)
    track = Track([loud, loud // 4])
    assert len(track) == int(2 * (1.0 + PAUSE_S) * 50)
    assert int(np.abs(track.chunks).max()) <= PEAK
