"""What all calls hear together, with parts that can be told apart from the real ones by ear."""

from collections.abc import Sequence

import numpy as np
import pytest
from fakes import LoudnessVad
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.delay import MAX_DELAY_MS
from voicebot.audio.echo import Cancelled
from voicebot.engine.hearing import (
    ALIGN_STEPS,
    RECENT_SAMPLES,
    Chunk,
    Hearing,
    InbandKey,
    VadResult,
)
from voicebot.events import EchoState
from voicebot.turns.near_end_features import Windows

pytestmark = pytest.mark.unit

TONE = np.tile(np.array([8000, -8000], np.int16), 80)
LOUD = mulaw.encode(TONE)
QUIET = mulaw.SILENCE * 160


class Subtracting:
    """The echo is exactly what was sent, at once: takes it away. Counts its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.resets: list[int] = []
        self.is_locked = True

    def reset(self, slot: int) -> None:
        self.resets.append(slot)

    def process(
        self, slots: NDArray[np.intp], near: NDArray[np.float32], far: NDArray[np.float32]
    ) -> Cancelled:
        self.batches.append(len(slots))
        active = np.abs(far).max(axis=1) > 0
        return Cancelled(
            clean=near - far,
            far=far,
            residual_db=np.full(len(slots), -40, np.float32),
            is_active=active,
            is_locked=np.full(len(slots), self.is_locked),
            settled_ms=np.full(len(slots), 1000, np.int32),
            delay=np.zeros(len(slots), np.int64),
            is_verified=np.full(len(slots), self.is_locked),
        )


class Coming:
    """Says that so many dBFS of the bot came back, block by block; no filter ever locks but where
    it is told to."""

    def __init__(self, levels: Sequence[float], locked: slice = slice(0, 0)) -> None:
        self._levels = iter(levels)
        self._locked = iter([n in range(*locked.indices(len(levels))) for n in range(len(levels))])

    def reset(self, slot: int) -> None:
        pass

    def process(self, slots, near, far):  # type: ignore[no-untyped-def]
        one = np.ones(len(slots))
        return Cancelled(
            clean=near,
            far=far,
            residual_db=np.float32(next(self._levels)) * one.astype(np.float32),
            is_active=one > 0,
            is_locked=one * next(self._locked) > 0,
            settled_ms=(one * 1000).astype(np.int32),
            delay=np.zeros(len(slots), np.int64),
            is_verified=one > 0,
        )


class Doubting:
    """Halves what the VAD says wherever it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []

    def reset(self, slot: int) -> None:
        pass

    def probabilities(self, slots: NDArray[np.intp], windows: Windows) -> NDArray[np.float32]:
        loudest = np.abs(windows.near).max(axis=1)
        self.asked += zip(slots.tolist(), loudest.tolist(), strict=True)
        return windows.speech / 2


class OneKey:
    """Hears a key in every loud block."""

    def reset(self, slot: int) -> None:
        pass

    def feed(self, slots, blocks):  # type: ignore[no-untyped-def]
        return [(row, "5", 40) for row in range(len(slots)) if np.abs(blocks[row]).max() > 0.1]


def windows(results: list[object]) -> list[VadResult]:
    return [result for result in results if isinstance(result, VadResult)]


def test_the_echo_is_gone_from_what_is_heard_and_recognised() -> None:
    hearing = Hearing(2, LoudnessVad(), canceller=Subtracting())
    results = []
    for chunk in range(8):
        at = chunk * 160
        results += hearing.hear([Chunk(0, at, LOUD, LOUD), Chunk(1, at, LOUD, b"")])
    found = {result.slot: result for result in windows(results)}
    assert found[0].probability == 0.0
    assert found[0].echo is EchoState.LOCKED
    assert found[1].probability == 1.0
    assert found[1].echo is EchoState.NONE
    assert not hearing.span(0, 0, 1280).any()
    assert hearing.span(1, 0, 1280).all()


def test_the_near_end_detector_is_asked_only_where_echo_is_possible() -> None:
    doubting, canceller = Doubting(), Subtracting()
    canceller.is_locked = False
    hearing = Hearing(2, LoudnessVad(), canceller=canceller, near_end=doubting)
    results = []
    for chunk in range(4):
        at = chunk * 160
        results += hearing.hear([Chunk(0, at, LOUD, LOUD[:80] * 2), Chunk(1, at, LOUD)])
    assert {slot for slot, _ in doubting.asked} == {0}
    assert all(level > 0.2 for _, level in doubting.asked), "it sees what came in"
    assert {result.echo for result in windows(results) if result.slot == 0} == {EchoState.UNLOCKED}


def states(canceller: Coming, blocks: int) -> list[EchoState]:
    """What hearing says of the echo while the bot speaks."""
    hearing = Hearing(1, LoudnessVad(), canceller=canceller, near_end=Doubting())
    chunks = [Chunk(0, at * 160, LOUD, LOUD) for at in range(blocks)]
    return [result.echo for result in windows(hearing.hear(chunks))]


WORD, GAP, NOISE = -38.0, -66.0, -70.0


def test_an_echo_that_pauses_between_words_is_one_whose_delay_is_not_known() -> None:
    words = ([WORD] * 15 + [GAP] * 10) * 12
    assert set(states(Coming(words), len(words))) == {EchoState.UNLOCKED}
    cancelled = ([-60.0] * 15 + [GAP] * 10) * 12  # locked for 4 s, then the delay changes
    told = words[:50] + cancelled[50:250] + words
    assert states(Coming(told, slice(50, 250)), len(told))[-1] is EchoState.UNLOCKED


def test_where_next_to_nothing_comes_back_there_is_no_echo() -> None:
    found = states(Coming([NOISE] * 150), 150)
    assert (found[20], found[-1]) == (EchoState.UNLOCKED, EchoState.FAINT)


def test_an_echo_may_be_as_late_as_the_canceller_looks_for_it() -> None:
    unheard = [NOISE] * (MAX_DELAY_MS // 20)  # the bot speaks, its echo is still on the way
    assert set(states(Coming(unheard + [WORD] * 50), len(unheard) + 50)) == {EchoState.UNLOCKED}


def test_a_caller_over_the_first_prompt_hides_only_for_seconds_that_nothing_comes_back() -> None:
    caller = -30.0  # the bound cannot tell him from an echo
    levels = [caller] * 50 + [NOISE] * 300
    found = states(Coming(levels), len(levels))
    assert set(found[: 180 * 160 // 256]) == {EchoState.UNLOCKED}, "he may have been an echo"
    assert found[-1] is EchoState.FAINT


def test_all_calls_share_a_batch_and_a_burst_is_heard_whole() -> None:
    canceller = Subtracting()
    hearing = Hearing(3, LoudnessVad(), canceller=canceller)
    burst = [Chunk(2, chunk * 160, LOUD, LOUD) for chunk in range(100)]
    results = hearing.hear([Chunk(0, 0, LOUD), *burst, Chunk(1, 0, LOUD)])
    assert canceller.batches[0] == 3
    assert len(windows(results)) == 100 * 160 // 256
    assert not hearing.span(2, 0, 16000).any(), "the echo is taken from all of the burst"


def test_the_reference_reaches_back_over_a_gap() -> None:
    hearing = Hearing(1, LoudnessVad(), canceller=Subtracting())
    hearing.hear([Chunk(0, 0, QUIET)])
    hearing.hear([Chunk(0, 480, LOUD, LOUD * 3)])
    assert not hearing.span(0, 480, 640).any()
    lost = np.tile(mulaw.decode(LOUD), 2)
    assert np.array_equal(hearing.span(0, 160, 480), -lost), "what was sent meanwhile has its place"


def test_after_a_long_gap_hearing_goes_on_with_what_is_there() -> None:
    hearing = Hearing(1, LoudnessVad(), canceller=Subtracting())
    hearing.hear([Chunk(0, 0, LOUD)])
    results = hearing.hear([Chunk(0, 40 * RECENT_SAMPLES, LOUD, LOUD)])
    assert results
    assert not hearing.span(0, 40 * RECENT_SAMPLES, 40 * RECENT_SAMPLES + 160).any()


def test_odd_chunks_are_cut_into_blocks() -> None:
    hearing = Hearing(1, LoudnessVad(), canceller=Subtracting())
    sent, at = mulaw.encode(np.tile(TONE, 25)), 0
    for length in (1, 159, 200, 37, 1000, 603):
        piece = sent[at : at + length]
        hearing.hear([Chunk(0, at, piece, piece)])
        at += length
    assert not hearing.span(0, 0, at // 160 * 160).any()


def test_keys_in_the_audio_have_their_place_on_the_clock() -> None:
    hearing = Hearing(2, LoudnessVad(), canceller=Subtracting(), keys=OneKey())
    hearing.hear([Chunk(1, 0, QUIET)])
    results = hearing.hear([Chunk(1, 160, LOUD), Chunk(0, 0, LOUD, LOUD)])
    keys = [result for result in results if isinstance(result, InbandKey)]
    assert keys == [InbandKey(1, 200, "5")], "the bot's own tones press no keys"


def test_a_new_call_finds_nothing_of_the_one_before() -> None:
    canceller = Subtracting()
    hearing = Hearing(1, LoudnessVad(), canceller=canceller)
    hearing.hear([Chunk(0, 0, LOUD, LOUD), Chunk(0, 160, LOUD, LOUD)])
    hearing.reset(0)
    assert canceller.resets == [0]
    assert hearing.hear([Chunk(0, 0, QUIET)]) == []
    assert len(hearing.span(0, 0, 1000)) == 160


class Failing(Doubting):
    """Fails for one slot."""

    def probabilities(self, slots: NDArray[np.intp], windows: Windows) -> NDArray[np.float32]:
        if 1 in slots:
            raise RuntimeError("no")
        return windows.speech


def test_what_was_known_before_a_failure_is_not_lost() -> None:
    hearing = Hearing(2, LoudnessVad(), canceller=Subtracting(), near_end=Failing())
    chunks = [Chunk(0, at * 160, LOUD) for at in range(20)]
    heard = [QUIET] * 10 + [LOUD] * 10
    late = [Chunk(1, at * 160, chunk, chunk) for at, chunk in enumerate(heard)]
    results: list[object] = []
    with pytest.raises(RuntimeError):
        hearing.hear([*chunks, *late])
    hearing.skip(1)
    results += hearing.advance([0])
    assert [result.at for result in windows(results) if result.slot == 0][:3] == [0, 256, 512]


def test_a_lines_constant_offset_is_heard_by_nobody() -> None:
    hearing = Hearing(1, LoudnessVad())
    for at in range(0, 1600, 160):
        hearing.hear([Chunk(0, at, mulaw.encode(np.full(160, 3000, np.int16)))])
    assert np.abs(hearing.span(0, 0, 1600).astype(int)).max() < 100


def joined(hearing: Hearing, steps: int, payload: bytes) -> list[dict[int, list[int]]]:
    """Windows by call, step after step: each of twelve calls joins a step after the one before."""
    told = []
    for step in range(steps):
        chunks = [Chunk(slot, (step - slot) * 160, payload) for slot in range(min(step + 1, 12))]
        windows: dict[int, list[int]] = {}
        for result in hearing.hear(chunks):
            windows.setdefault(result.slot, []).append(result.at)
        told.append(windows)
    return told


def test_windows_of_quiet_calls_fall_into_the_same_steps() -> None:
    hearing = Hearing(12, LoudnessVad())
    hearing.is_aligned = True
    told = joined(hearing, 60, QUIET)
    assert {len(windows) for windows in told[28:]} == {0, 12}
    assert sum(bool(windows) for windows in told[28:]) == 32 * 5 / 8
    for slot in range(12):
        at = [at for windows in told for at in windows.get(slot, [])]
        steps = np.diff(at)
        assert at[0] < 256
        assert np.count_nonzero(steps != 256) <= 1, "it leaves something out once, if at all"
        assert 256 <= steps.max() < 512


def test_of_a_caller_who_speaks_nothing_is_left_out_and_a_window_waits_for_one_step() -> None:
    aligned, alone = Hearing(12, LoudnessVad()), Hearing(12, LoudnessVad())
    for hearing in (aligned, alone):
        for slot in range(12):
            hearing._chance[slot] = 1.0  # he was speaking when he came
    aligned.is_aligned = True
    told, at_once = joined(aligned, 60, LOUD), joined(alone, 60, LOUD)
    for slot in range(12):
        steps = {at: step for step, now in enumerate(at_once) for at in now.get(slot, [])}
        later = {at: step - steps[at] for step, now in enumerate(told) for at in now.get(slot, [])}
        assert list(later) == [*range(0, len(later) * 256, 256)]
        assert set(later.values()) <= {0, 1}


def test_of_calls_whose_audio_comes_now_late_now_in_time_next_to_nothing_is_left_out() -> None:
    hearing = Hearing(12, LoudnessVad())
    hearing.is_aligned = True
    steps = 2 * ALIGN_STEPS
    sent: list[int] = [0] * 12
    at: dict[int, list[int]] = {slot: [] for slot in range(12)}
    for step in range(1, steps + 1):
        chunks = []
        for slot in range(12):
            until = step - (step + slot) // 10 % 2
            chunks += [Chunk(slot, number * 160, QUIET) for number in range(sent[slot], until)]
            sent[slot] = until
        for result in hearing.hear(chunks):
            at[result.slot].append(result.at)
    for slot in range(12):
        apart = np.diff(at[slot])
        assert np.count_nonzero(apart != 256) <= 3, "at first, and each ALIGN_STEPS"
        assert len(at[slot]) > steps * 160 / 256 - 5
        assert apart.max() < 512


def test_a_burst_is_heard_in_whatever_step_it_comes() -> None:
    hearing = Hearing(1, LoudnessVad())
    hearing.is_aligned = True
    for step in range(8):
        chunks = [Chunk(0, (10 * step + n) * 160, LOUD) for n in range(10)]
        hearing.hear(chunks)
        assert hearing._written[0] - hearing._heard[0] < 512
