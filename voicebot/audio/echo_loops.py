"""Loops of the echo canceller over the rows of a block, and the bounds that they keep. Pure.

Each advances the state of all slots, which its caller holds, for the rows `slots` of one block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.compiled import compiled
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]

TAIL_BLOCKS = 15
"""An echo is possible for 300 ms after its far end should have passed: the room."""
REHEARSE_BLOCKS, REHEARSED_BLOCKS = 5, 60
"""So often, and for so long after its start, it hears them once more."""
LATE_SAMPLES, REHEARSE_LATE_BLOCKS = SAMPLE_RATE_HZ, 2
"""A delay as long is known when little time is left: then more often (LOG.md)."""
AUDIBLE = np.float32(1e-3)
"""Peak of a far-end block (-60 dBFS) below which its echo is never heard."""
_OFFSET_SHARE = np.float32(0.05)
"""Of a block's mean in the offset: a high pass at 0.4 Hz leaves the echo's phase as it is."""
LOST_BLOCKS = 50
"""Of audible echo for which a learned path that explains nothing is kept unchanged: most often
only the delay has changed. Then the filter starts anew."""
TRIAL_BLOCKS = 75
"""For which a new filter may explain nothing until its delay counts as a mistake: 1.5 s."""
_WORSE = np.float32(2.0)
_MAX_LOUDER_BLOCKS = 25  # 500 ms with more left than there was: the filter has diverged


@compiled("boolean(float32[:,::1])")
def is_finite(signal: Signal) -> bool:
    """Whether it is a number within full scale everywhere."""
    outside = 0
    for row in range(signal.shape[0]):
        for t in range(signal.shape[1]):
            outside += not (abs(signal[row, t]) <= np.float32(1.0))  # true for NaN
    return outside == 0


@compiled(
    "void(int64[::1], float32[:,::1], int64[::1], int64[::1], boolean[::1], int64, int64,"
    "boolean[::1], boolean[::1])"
)
def watch(
    slots: Slots,
    far: Signal,
    silent: NDArray[np.int64],
    delay: NDArray[np.int64],
    is_known: NDArray[np.bool_],
    ring: int,
    max_blocks: int,
    is_awake: NDArray[np.bool_],
    is_active: NDArray[np.bool_],
) -> None:
    """Blocks since the far end was audible; whether it is kept at all, and may still come back."""
    for row in range(len(slots)):
        slot = slots[row]
        loudest = np.float32(0.0)
        for t in range(far.shape[1]):
            loudest = max(loudest, abs(far[row, t]))
        silent[slot] = 0 if loudest > AUDIBLE else silent[slot] + 1
        last = delay[slot] // CHUNK_SAMPLES if is_known[slot] else max_blocks
        is_awake[row] = silent[slot] <= ring
        is_active[row] = silent[slot] <= last + TAIL_BLOCKS


@compiled(
    "void(int64[::1], float32[:,::1], boolean[::1], int64[::1], boolean[::1], float32[::1],"
    "float32[:,::1], boolean[::1])"
)
def centre(
    slots: Slots,
    near: Signal,
    is_awake: NDArray[np.bool_],
    silent: NDArray[np.int64],
    was_active: NDArray[np.bool_],
    offset: Signal,
    filtered: Signal,
    is_fresh: NDArray[np.bool_],
) -> None:
    """The near end without its offset, which a prompt that begins (`is_fresh`) begins anew."""
    for row in range(len(slots)):
        slot = slots[row]
        is_fresh[row] = is_awake[row] and silent[slot] == 0 and not was_active[slot]
        if not is_awake[row]:
            filtered[row] = 0.0
            continue
        mean = np.float32(0.0)
        for t in range(near.shape[1]):
            mean += near[row, t]
        mean /= np.float32(near.shape[1])
        if is_fresh[row]:
            offset[slot] = mean
        offset[slot] += _OFFSET_SHARE * (mean - offset[slot])
        for t in range(near.shape[1]):
            filtered[row, t] = near[row, t] - offset[slot]


@compiled(
    "void(int64[::1], float32[:,::1], float32[:,::1], boolean[::1], float32[::1], float32[:,::1])"
)
def fade(
    slots: Slots,
    near: Signal,
    echo: Signal,
    is_wanted: NDArray[np.bool_],
    gain: Signal,
    faded: Signal,
) -> None:
    """See EchoCanceller._fade; `faded` is what it returns."""
    for row in range(len(slots)):
        slot = slots[row]
        begin, end = gain[slot], np.float32(is_wanted[row])
        step = (end - begin) / np.float32(CHUNK_SAMPLES)
        before = after = np.float32(0.0)
        for t in range(CHUNK_SAMPLES):
            faded[row, t] = echo[row, t] * (begin + step * np.float32(t + 1))
            left = near[row, t] - faded[row, t]
            before += near[row, t] * near[row, t]
            after += left * left
        is_worse = after > _WORSE * before
        gain[slot] = np.float32(0.0) if is_worse else end
        if is_worse:
            faded[row] = 0.0


@compiled("boolean(int64[::1], int64[::1], int64[::1], int64[::1], int64[::1])")
def wait(
    slots: Slots,
    delay: NDArray[np.int64],
    lost: NDArray[np.int64],
    ages: NDArray[np.int64],
    waiting: NDArray[np.int64],
) -> bool:
    """A block more since a young filter should have heard all of it again; whether any should."""
    is_any = False
    for row in range(len(slots)):
        slot = slots[row]
        ages[slot] += 1
        every = REHEARSE_LATE_BLOCKS if delay[slot] >= LATE_SAMPLES else REHEARSE_BLOCKS
        is_due = ages[slot] % every == 0 and ages[slot] <= REHEARSED_BLOCKS
        if lost[slot] > 0:
            waiting[slot] = 0
        elif is_due or waiting[slot] > 0:
            waiting[slot] += 1
            is_any = True
    return is_any


@compiled(
    "boolean(int64[::1], boolean[::1], boolean[::1], boolean[::1], boolean[::1], int64[::1],"
    "int64[::1], int64[::1], boolean[::1])"
)
def count_lost(
    slots: Slots,
    is_lost: NDArray[np.bool_],
    is_louder: NDArray[np.bool_],
    is_trusted: NDArray[np.bool_],
    is_audible: NDArray[np.bool_],
    lost: NDArray[np.int64],
    settled: NDArray[np.int64],
    louder: NDArray[np.int64],
    has_failed: NDArray[np.bool_],
) -> bool:
    """Blocks for which a lost path is kept, and in which it made things louder; where it is to be
    started anew, and whether it is anywhere."""
    is_any = False
    for row in range(len(slots)):
        slot = slots[row]
        trusted, was_kept = is_trusted[row], lost[slot] > 0
        kept = LOST_BLOCKS if is_lost[row] else lost[slot] - np.int64(is_audible[slot])
        lost[slot] = 0 if trusted else max(kept, 0)
        if is_lost[row]:
            settled[slot] = 0
        louder[slot] = louder[slot] + 1 if is_louder[row] and trusted else 0
        failed = louder[slot] > _MAX_LOUDER_BLOCKS or (was_kept and kept <= 0)
        has_failed[row] = failed and not (trusted and was_kept)
        is_any |= has_failed[row]
    return is_any


@compiled("boolean(int64[::1], boolean[::1], int64[::1], int64[::1])")
def count_trial(
    slots: Slots,
    is_trusted: NDArray[np.bool_],
    lost: NDArray[np.int64],
    trial: NDArray[np.int64],
) -> bool:
    """Blocks for which a new filter has explained nothing; whether any has had its time."""
    is_any = False
    for row in range(len(slots)):
        slot = slots[row]
        is_on_trial = not is_trusted[row] and lost[slot] == 0
        trial[slot] = trial[slot] + 1 if is_on_trial else 0
        is_any |= trial[slot] > TRIAL_BLOCKS
    return is_any


@compiled(
    "void(int64[::1], float32[:,::1], int64[::1], float32[:,::1], float32[:,::1], float32[::1],"
    "boolean[::1], boolean[::1], int64[::1], boolean[::1], int64[::1], float32[:,::1],"
    "float32[:,::1], float32[::1], boolean[::1], int32[::1])"
)
def tell(
    slots: Slots,
    near: Signal,
    active: Slots,
    echo: Signal,
    aligned: Signal,
    residual: Signal,
    is_active: NDArray[np.bool_],
    was_active: NDArray[np.bool_],
    idle: NDArray[np.int64],
    is_trusted: NDArray[np.bool_],
    settled: NDArray[np.int64],
    clean: Signal,
    far: Signal,
    residual_db: Signal,
    is_locked: NDArray[np.bool_],
    settled_ms: NDArray[np.int32],
) -> None:
    """The last five are what Cancelled holds; `echo`, `aligned` and `residual` of rows `active`."""
    for row in range(len(slots)):
        slot = slots[row]
        was_active[slot] = is_active[row]
        idle[slot] += not is_active[row]
        is_locked[row] = is_trusted[slot]
        settled_ms[row] = settled[slot] * 20 if is_trusted[slot] else 0
        residual_db[row] = -np.inf
        clean[row], far[row] = near[row], np.float32(0.0)
    for index in range(len(active)):
        row = active[index]
        left = np.float32(0.0)
        for t in range(CHUNK_SAMPLES):
            clean[row, t] -= echo[index, t]
            far[row, t] = aligned[index, t]
            left += clean[row, t] * clean[row, t]
        power = min(residual[index], left / np.float32(CHUNK_SAMPLES))
        residual_db[row] = np.float32(10.0) * np.log10(max(power, np.float32(1e-12)))
