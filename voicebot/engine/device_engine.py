"""Streaming recognition of thousands of calls on one device, lane by lane.

A call takes a row of a lane; the rows of a lane advance together, so that its state is never
gathered. Lanes are due at different times of a chunk, by when their callers came; the one whose
audio has waited longest goes first. The engine computes when `advance` is called and knows no
sockets, threads or torch: a thread, an event loop or a recogniser process drives it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from voicebot.asr.lanes import LaneChunk, LaneStep
from voicebot.engine.device_admission import Admission
from voicebot.engine.device_cadence import FINAL_S, GRACE_S, Cadence
from voicebot.engine.device_model import Emission, LaneModel
from voicebot.engine.device_slots import GOES_ON, SlotAudio
from voicebot.engine.slots import SlotPool
from voicebot.errors import CapacityError, DeviceLost

BEHIND_CHUNKS = 3
"""Who has so many waiting must catch up before his front end loses patience: he waits for nobody.
A message may bring most of a chunk more than the one that it completes."""
STEPS_PER_CHUNK = 2
"""Of a lane whose callers come, pause and begin anew at any time."""


class DeviceEngine(SlotAudio):
    """All calls of one device. Call it from one thread at a time."""

    def __init__(
        self,
        model: LaneModel,
        *,
        lanes: int,
        admission: Admission | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """At most `lanes`; memory for one is taken when it is needed first.

        `admission`: unless given, calls are taken while each lane has time for STEPS_PER_CHUNK.
        """
        super().__init__(lanes * model.lane_rows, model.chunk_samples, model.lead_samples)
        self._model, self._most, self._rows = model, lanes, model.lane_rows
        self.chunk_samples = self._chunk
        self.chunk_s = self._chunk / model.input_hz
        self.admission = admission or Admission(self.chunk_s / STEPS_PER_CHUNK, sizes=model.buckets)
        self._clock = clock
        self._left = np.zeros(lanes * self._rows, np.int64)  # steps until the final
        self._pools: list[SlotPool] = []
        self._origin = np.zeros(lanes)  # when a chunk of the lane's rows is complete
        self._stepped = np.full(lanes, -np.inf)
        self._free_at = -np.inf  # when the device had done its last step
        self.stage_s: dict[str, float] = {}
        self.steps = 0

    # ------------------------------------------------------------ calls

    @property
    def lane_rows(self) -> int:
        """Slots of a lane."""
        return self._rows

    @property
    def calls(self) -> int:
        """Calls in the engine."""
        return sum(pool.taken for pool in self._pools)

    @property
    def slots(self) -> int:
        """Calls for which memory was taken."""
        return len(self._pools) * self._rows

    def measure(self) -> None:
        """How long a step of each size takes, where nobody speaks: the first of each is not
        counted, it takes memory. Admission knows it before the first call comes."""
        for size in self._model.buckets:
            self._step_for_nobody(size)
            self.admission.record(size, self._step_for_nobody(size))

    def measure_again(self) -> None:
        """While calls are refused for time: sizes that no live call makes are not measured by
        itself, and what one slow step told of them would count for good. Live calls are not
        touched: nobody takes part. Whatever the device reports is raised."""
        if self._pools:
            for size in self._model.buckets:
                self.admission.record(size, self._step_for_nobody(size))

    def _step_for_nobody(self, size: int) -> float:
        """Seconds of it."""
        audio = np.zeros((size, self._chunk), np.int16)
        begun = self._clock()
        nobody = LaneChunk(audio, np.zeros(size, bool), np.full(size, GOES_ON, np.int64))
        self._model.submit(0, nobody)
        self._model.collect(0)
        return self._clock() - begun

    def reserve(self, calls: int) -> None:
        """Take the memory for so many calls now; CapacityError where there is none."""
        while len(self._pools) * self._rows < min(calls, self._most * self._rows):
            self._add_lane()

    def open(self, now: float) -> int:
        """A slot for a call whose audio begins `now`.

        CapacityError when there is no slot, no memory or no time left on the device; calls that
        are live are not touched by that.
        """
        refusal = self.refusal()
        if refusal is not None:
            raise refusal
        lane = self._lane_for_one_more()
        pool = self._pools[lane]
        is_first = pool.taken == 0
        slot = lane * self._rows + pool.acquire()
        if is_first:
            self._origin[lane] = (
                now + (self._chunk - self._model.lead_samples) / self._model.input_hz
            )
        self._open[slot], self._rests[slot] = True, False
        self._begin(lane, [slot], now)
        return slot

    def refusal(self) -> CapacityError | None:
        """Why another call would not be taken; None where it would, if there is memory for it."""
        used = [pool.taken for pool in self._pools]
        free = [lane for lane, taken in enumerate(used) if taken < self._rows]
        if free:
            used[max(free, key=lambda lane: used[lane])] += 1
        elif len(used) == self._most:
            return CapacityError(f"all {self._most * self._rows} slots are taken")
        else:
            used.append(1)
        if self.admission.allows(used):
            return None
        return CapacityError("the device has no time for another call", why="time")

    def begin(self, slot: int, now: float) -> int:
        """The next utterance, whose first sample was spoken at `now`, also in the past.

        Returns the samples of silence that its frames count from before that.
        """
        lane = slot // self._rows
        self._rests[slot] = False
        if self._taken[slot]:
            self._model.reset(lane, [slot - lane * self._rows])
        self._place([slot], self._until_chunk(lane, now))
        self._note_ready([slot], now)  # the silence may make a chunk by itself
        return int(self._silence[slot]) - self._model.lead_samples

    def release(self, slot: int) -> None:
        """The call left. Idempotent."""
        if self._open[slot]:
            self._open[slot] = False
            self._ready_at[slot] = np.inf
            self._pools[slot // self._rows].release(slot % self._rows)

    def finish(self, slot: int, now: float) -> None:
        """The utterance ends with what was pushed; its final comes from `advance`."""
        if self._open[slot] and self._ends[slot] == GOES_ON:
            self._ends[slot] = max(0, int(self._written[slot]) - self._model.lead_samples)
            self._rests[slot] = False
            told = int(self._taken[slot]) // self._chunk
            self._left[slot] = max(1, self._model.chunks_of(int(self._ends[slot])) - told)
            self._ready_at[slot] = min(self._ready_at[slot], now)
            self._ended_at[slot] = now

    # ------------------------------------------------------------ computing

    def due(self, now: float) -> list[int]:
        """Lanes to step now, the one that has waited longest first."""
        used = len(self._pools) * self._rows
        waited = self._ready_at[:used].reshape(-1, self._rows).min(1, initial=np.inf)
        lanes = np.flatnonzero(waited <= now).tolist()
        if not lanes:
            return []
        sizes = [pool.taken for pool in self._pools]
        cadence = Cadence.of(self.chunk_s, self.admission, sizes)
        due = [lane for lane in lanes if sizes[lane] and self._is_due(lane, cadence, now)]
        return sorted(due, key=lambda lane: float(waited[lane]))

    def _is_due(self, lane: int, cadence: Cadence, now: float) -> bool:
        rows = slice(lane * self._rows, (lane + 1) * self._rows)
        ready_at, goes_on = self._ready_at[rows], self._ends[rows] == GOES_ON
        ready, since = ready_at <= now, now - self._stepped[lane]
        ended_at = self._ended_at[rows][ready & ~goes_on]
        if len(ended_at) and (since >= cadence.flush_s or now - ended_at.min() >= FINAL_S):
            return True
        going = ready & goes_on
        if not going.any():
            return False
        if not (self._open[rows] & ~self._rests[rows] & goes_on & ~ready).any():
            return True
        behind = self._written[rows] - self._taken[rows] >= BEHIND_CHUNKS * self._chunk
        is_late = now >= ready_at[going].min() + GRACE_S or bool((behind & going).any())
        return is_late and since >= cadence.step_s

    def next_due(self) -> float:
        """When a lane may be due, if nothing more comes; infinity when none waits."""
        return float(self._ready_at.min(initial=np.inf)) + GRACE_S

    def advance(self, now: float) -> list[Emission]:
        """Step every lane that is due, the next one's copies while one computes."""
        emitted: list[Emission] = []
        running: tuple[int, NDArray[np.intp], float] | None = None
        for lane in self.due(now):
            slots = self._ready(lane, now)
            self._stepped[lane] = now
            begun = self._clock()
            is_running = self._submit(lane, slots)
            if running is not None:
                emitted += self._collect(*running, now)
                running = None
            if is_running:
                running = lane, slots, begun
            else:
                emitted += self._alone(lane, slots, now)
        if running is not None:
            emitted += self._collect(*running, now)
        return emitted

    def _ready(self, lane: int, now: float) -> NDArray[np.intp]:
        rows = slice(lane * self._rows, (lane + 1) * self._rows)
        return lane * self._rows + np.flatnonzero(self._ready_at[rows] <= now)

    def _submit(self, lane: int, slots: NDArray[np.intp]) -> bool:
        first = lane * self._rows
        count = int(slots[-1]) - first + 1
        rows = first + np.arange(count)
        audio = self._chunks(rows, slots)
        active = np.zeros(count, bool)
        active[slots - first] = True
        try:
            self._model.submit(lane, LaneChunk(audio, active, self._ends[rows]))
        except Exception:
            return False
        return True

    def _collect(
        self, lane: int, slots: NDArray[np.intp], begun: float, now: float
    ) -> list[Emission]:
        try:
            step = self._model.collect(lane)
        except Exception:
            return self._alone(lane, slots, now)
        done = self._clock()
        # What it waited for the step before it is not its own.
        rows = int(slots[-1]) - lane * self._rows + 1
        self.admission.record(rows, done - max(begun, self._free_at))
        self._free_at = done
        return self._took(lane, slots, step, now)

    def _alone(self, lane: int, slots: NDArray[np.intp], now: float) -> list[Emission]:
        """A step failed: halves of it, until only those fail that fail by themselves.

        DeviceLost where the device is to blame, not a call.
        """
        if not self._model.is_alive():
            raise DeviceLost("the device answers no more")
        if len(slots) == 1:
            failure = self._failed(int(slots[0]))
            self._begin(lane, slots.tolist(), now)
            return [failure]
        emitted = []
        for part in np.array_split(slots, 2):
            if self._submit(lane, part):
                emitted += self._collect(lane, part, self._clock(), now)
            else:
                emitted += self._alone(lane, part, now)
        return emitted

    def _took(
        self, lane: int, slots: NDArray[np.intp], step: LaneStep, now: float
    ) -> list[Emission]:
        self.steps += 1
        for name, seconds in step.stage_s.items():
            self.stage_s[name] = self.stage_s.get(name, 0.0) + seconds
        first = lane * self._rows
        before = self._taken[slots] // self._chunk * self._model.frames
        self._taken[slots] += self._chunk
        self._ready_at[slots] = np.inf
        self._left[slots] -= 1
        failed = {first + row for row in step.failed}
        finals = set(slots[(self._ends[slots] != GOES_ON) & (self._left[slots] <= 0)].tolist())
        since = dict(zip(slots.tolist(), before.tolist(), strict=True))
        said = {
            first + row: (tuple(tokens), tuple(f + since[first + row] for f in frames), tuple(sure))
            for row, tokens, frames, sure in step.labels()
            if first + row in since
        }
        emitted = [self._failed(slot) for slot in failed]
        for slot in (finals | said.keys()) - failed:
            tokens, frames, log_probs = said.get(slot, ((), (), ()))
            emitted.append(Emission(slot, tokens, frames, log_probs, slot in finals))
        self._begin(lane, sorted(finals | failed), now)
        self._note_ready(slots[self._open[slots]], now)
        return emitted

    def _failed(self, slot: int) -> Emission:
        return Emission(slot, is_failed=True, is_final=bool(self._ends[slot] != GOES_ON))

    # ------------------------------------------------------------ slots

    def _lane_for_one_more(self) -> int:
        """The fullest lane with a free row: batches stay dense. A new one when all are full."""
        free = [lane for lane, pool in enumerate(self._pools) if pool.taken < self._rows]
        if free:
            return max(free, key=lambda lane: self._pools[lane].taken)
        self._add_lane()
        return len(self._pools) - 1

    def _add_lane(self) -> None:
        self._model.add_lane()
        self._pools.append(SlotPool(self._rows))

    def _begin(self, lane: int, slots: Sequence[int], now: float) -> None:
        """Their next utterance. Silence before it makes its chunks end with the lane's."""
        if not slots:
            return
        self._model.reset(lane, [slot - lane * self._rows for slot in slots])
        self._place(slots, self._until_chunk(lane, now))

    def _until_chunk(self, lane: int, now: float) -> int:
        """Samples."""
        return round(float(self._origin[lane] - now) % self.chunk_s * self._model.input_hz)
