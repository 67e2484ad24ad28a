"""What all calls hear, computed together: mu-law, echo, voice activity, in-band keys.

Audio enters in chunks with the reference (what the caller was hearing meanwhile) and is kept on
the call's 8 kHz clock. The echo canceller replaces it, block by block, by what the caller said;
voice activity looks at windows of that. Every step is one batch over all slots that have audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.offset import Offset
from voicebot.engine.hearing_rooms import Canceller, Keys, NearEnd, Vad
from voicebot.engine.known_echo import KnownEcho
from voicebot.engine.rings import Ring, Rows, Samples
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ, EchoState
from voicebot.turns.near_end_features import Windows

WINDOW = 256
"""Silero's native window at 8 kHz, 32 ms."""
BLOCK = CHUNK_SAMPLES
"""What the canceller advances by, 20 ms."""
RING_S = 30
"""Longer than the longest utterance (Timeouts.max_speech_ms) and its wait for the recogniser."""
QUIET = 0.1
"""A call less likely to speak than this loses nothing by part of a window that nobody looks at."""
ALIGN_STEPS = 500
"""A call whose audio comes now a step late and now in time would leave out something each time."""
MAX_BEHIND_SAMPLES = 2 * SAMPLE_RATE_HZ
RECENT_SAMPLES = 8192
"""Kept of the reference and of the raw signal: what may arrive before a step computes it."""


class VadResult(NamedTuple):
    """Probability that the caller speaks in the window that begins at `at` in `slot`.

    `speech`: the same, but that anybody does, the bot's echo included, where there is no echo or
    so little of the bot was heard that nobody can tell. `level_db`: of the window, dBFS.
    """

    slot: int
    at: int
    probability: float
    echo: EchoState = EchoState.NONE
    speech: float = 0.0
    level_db: float = -100.0


@dataclass(frozen=True, slots=True)
class InbandKey:
    """A DTMF key heard in the audio of `slot`."""

    slot: int
    at: int
    key: str


class HearingLost(NamedTuple):
    """From `at` on the call in `slot` is not heard any more, for lack of time, and goes on by keys;
    `is_back`: it is heard again."""

    slot: int
    at: int
    is_back: bool = False


class Chunk(NamedTuple):
    """mu-law bytes of `slot` from `at` on; `reference` ends where they end, b"" is silence."""

    slot: int
    at: int
    payload: bytes
    reference: bytes = b""


Result = VadResult | InbandKey | HearingLost


class Hearing:
    """State of all slots. Belongs to one thread, but for `span`.

    A span may be read from another thread without a lock: it is read after it was written, and
    RING_S before it is overwritten.
    """

    def __init__(
        self,
        slots: int,
        vad: Vad,
        *,
        canceller: Canceller | None = None,
        near_end: NearEnd | None = None,
        keys: Keys | None = None,
    ) -> None:
        """Without `canceller` there must be no echo, and speech is whatever `vad` says."""
        self._vad, self._canceller, self._near_end, self._keys = vad, canceller, near_end, keys
        self._results: list[Result] = []  # not taken yet
        self._rooms = [room for room in (vad, canceller, near_end, keys) if room is not None]
        self._offset = Offset(slots)
        self._clean = Ring(slots, RING_S * SAMPLE_RATE_HZ)
        self._near = Ring(slots, RECENT_SAMPLES)  # as received
        self._reference = Ring(slots, RECENT_SAMPLES)  # what was sent, when it was heard
        self._far = Ring(slots, RECENT_SAMPLES)  # the same as the canceller aligned it
        self._written = np.zeros(slots, np.int64)  # samples received since the call began
        self._cancelled = np.zeros(slots, np.int64)  # samples that the canceller has done
        self._heard = np.zeros(slots, np.int64)  # samples that the VAD has seen
        self._echo = KnownEcho(slots)
        self._chance = np.zeros(slots, np.float32)  # of speech, in the last window
        self._step = 0
        self._aligned_at = np.full(slots, -ALIGN_STEPS)  # in which step
        self.is_aligned = False
        """Whether `hear` is called for each block, of all calls, so that their windows may be
        looked at in the same steps, five of eight, and in none of the others."""

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        for ring in (self._clean, self._near, self._reference, self._far):
            ring.clear(slot)
        self._offset.reset(slot)
        self._written[slot] = self._cancelled[slot] = self._heard[slot] = 0
        self._echo.reset(slot)
        self._chance[slot] = 0.0
        self._aligned_at[slot] = self._step - ALIGN_STEPS
        for room in self._rooms:
            room.reset(slot)

    # ------------------------------------------------------------ audio in

    def hear(self, chunks: Sequence[Chunk]) -> list[Result]:
        """Write and advance: chunk after chunk of each call, all calls together."""
        self._step += 1
        waiting = list(chunks)
        while waiting:
            now: dict[int, Chunk] = {}
            later = [c for c in waiting if now.setdefault(c.slot, c) is not c]
            self._write_all(list(now.values()))
            self._advance(list(now))
            waiting = later
        if not self._is_due:
            self._align(list({chunk.slot for chunk in chunks}))
        return self._take()

    def _write_all(self, chunks: list[Chunk]) -> None:
        plain = []
        written = self._written.tolist()
        for chunk in chunks:
            is_next = chunk.at == written[chunk.slot]
            if is_next and len(chunk.payload) == BLOCK and len(chunk.reference) in {0, BLOCK}:
                plain.append(chunk)
            else:
                self.write(chunk.slot, chunk.at, chunk.payload, chunk.reference)
        if not plain:
            return
        rows = np.array([chunk.slot for chunk in plain], np.int64)
        at = self._written[rows]
        near = mulaw.decode(b"".join(chunk.payload for chunk in plain)).reshape(-1, BLOCK)
        near = self._offset.remove(rows, near)
        self._clean.put_rows(rows, at, near)
        if self._canceller is not None:
            silence = mulaw.SILENCE * BLOCK
            sent = b"".join(chunk.reference or silence for chunk in plain)
            self._near.put_rows(rows, at, near)
            self._reference.put_rows(rows, at, mulaw.decode(sent).reshape(-1, BLOCK))
        self._written[rows] += BLOCK
        if self._canceller is None:
            self._cancelled[rows] = self._written[rows]

    def write(self, slot: int, at: int, payload: bytes, reference: bytes = b"") -> None:
        """mu-law bytes from `at` on; a gap before them becomes silence.

        Samples before what is already written are dropped (they would rewrite the past).
        `reference` ends where `payload` ends and may reach back over the gap.
        """
        written = int(self._written[slot])
        end = at + len(payload)
        if end <= written:
            return
        near = np.zeros(min(end - written, self._clean.length), np.int16)
        decoded = mulaw.decode(payload)
        if len(decoded):
            decoded = self._offset.remove(np.array([slot]), decoded[None])[0]
        _put_last(near, decoded)
        self._clean.put(slot, end - len(near), near)
        if self._canceller is not None:
            sent = np.zeros(len(near), np.int16)
            _put_last(sent, mulaw.decode(reference))
            self._near.put(slot, end - len(near), near)
            self._reference.put(slot, end - len(near), sent)
        self._written[slot] = end
        self._catch_up(slot)

    def _catch_up(self, slot: int) -> None:
        """After a gap longer than a ring, go on with what is still there."""
        written = int(self._written[slot])
        if self._canceller is None:
            self._cancelled[slot] = written
        elif written - self._cancelled[slot] > RECENT_SAMPLES:
            blocks = (RECENT_SAMPLES - BLOCK) // BLOCK
            self._cancelled[slot] = written - blocks * BLOCK
        # After a gap there is nothing to hear in it but its end.
        self._heard[slot] = max(self._heard[slot], written - MAX_BEHIND_SAMPLES)

    def span(self, slot: int, start_at: int, end_at: int) -> Samples:
        """What the caller said in [start_at, end_at), as far as it is still (and already) there."""
        end = min(end_at, int(self._written[slot]))
        start = max(start_at, 0, end - self._clean.length)
        return self._clean.get(slot, start, max(start, end))

    # ------------------------------------------------------------ computing

    def advance(self, slots: Sequence[int]) -> list[Result]:
        """Run every full block and window of these slots, all slots of one step in one batch.

        What was known before a step failed comes with the next one that succeeds.
        """
        self._advance(slots)
        return self._take()

    def _take(self) -> list[Result]:
        results, self._results = self._results, []
        return results

    def _advance(self, slots: Sequence[int]) -> None:
        rows = np.asarray(slots, np.int64)
        while True:
            blocks = rows[self._written[rows] - self._cancelled[rows] >= BLOCK]
            if self._canceller is not None and len(blocks):
                self._results += self._cancel(self._canceller, blocks)
            windows = self._windows(rows)
            if len(windows):
                self._results += self._listen(windows)
            if not len(windows) and (self._canceller is None or not len(blocks)):
                return

    def _windows(self, rows: Rows) -> Rows:
        """Which of these have a window to be looked at now."""
        most = WINDOW if self._is_due else 2 * WINDOW
        return rows[self._cancelled[rows] - self._heard[rows] >= most]

    @property
    def _is_due(self) -> bool:
        """Whether windows are looked at in this step."""
        return not self.is_aligned or BLOCK * self._step % WINDOW < BLOCK

    def _align(self, slots: Sequence[int]) -> None:
        """A call that is out of step waits for the next step with its windows, or, while it is
        quiet, leaves out as much as brings it into step: once in ALIGN_STEPS at most."""
        rows = np.asarray(slots, np.int64)
        is_late = self._cancelled[rows] - self._heard[rows] >= WINDOW
        is_free = self._step - self._aligned_at[rows] >= ALIGN_STEPS
        late = rows[is_late & is_free & (self._chance[rows] < QUIET)]
        self._aligned_at[late] = self._step
        self._heard[late] += (self._written[late] - self._heard[late] - BLOCK * self._step) % WINDOW

    def _cancel(self, canceller: Canceller, rows: Rows) -> list[Result]:
        at = self._cancelled[rows]
        near = self._near.get_floats(rows, at, BLOCK)
        far = self._reference.get_floats(rows, at, BLOCK)
        done = canceller.process(rows, near, far)
        self._clean.put_floats(rows, at, done.clean, done.is_active)
        self._far.put_floats(rows, at, done.far, np.ones_like(done.is_active))
        self._echo.note(rows, far, done)
        keys: list[Result] = []
        if self._keys is not None:
            heard = self._keys.feed(rows, done.clean)
            keys = [InbandKey(int(rows[row]), int(at[row]) + on, key) for row, key, on in heard]
        self._cancelled[rows] += BLOCK
        return keys

    def _listen(self, rows: Rows) -> list[Result]:
        at = self._heard[rows]
        clean = self._clean.get_floats(rows, at, WINDOW)
        probability = self._vad.probabilities(rows, clean)
        speech = probability.copy()
        echoing = np.flatnonzero(self._echo.may_echo(rows))
        if len(echoing) and self._near_end is not None:
            slots = rows[echoing]
            windows = Windows(
                near=self._near.get_floats(slots, at[echoing], WINDOW),
                clean=clean[echoing],
                far=self._far.get_floats(slots, at[echoing], WINDOW),
                sent=self._reference.get_floats(slots, at[echoing], WINDOW),
                speech=probability[echoing],
                residual_db=self._echo.residual_db[slots],
                delay=self._echo.delay[slots],
                is_locked=self._echo.is_locked[slots],
                is_verified=self._echo.is_verified[slots],
                settled_ms=self._echo.settled_ms[slots],
            )
            probability[echoing] = self._near_end.probabilities(slots, windows)
        has_echo = self._echo.is_echoing(rows)
        speech[has_echo] = probability[has_echo]
        self._chance[rows] = np.maximum(probability, speech)
        self._heard[rows] += WINDOW
        level = 10 * np.log10(np.einsum("ij,ij->i", clean, clean) / WINDOW + 1e-10)
        columns = (rows, at, probability, speech, level)
        return [
            VadResult(slot, start, chance, self._echo_state(slot), likely, loudness)
            for slot, start, chance, likely, loudness in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]

    def _echo_state(self, slot: int) -> EchoState:
        return EchoState.FAINT if self._canceller is None else self._echo.state(slot)

    def skip(self, slot: int) -> None:
        """Give up what waits in this slot: its computation failed."""
        self._cancelled[slot] = self._heard[slot] = self._written[slot]


def _put_last(into: Samples, samples: Samples) -> None:
    """`samples` ends where `into` ends."""
    count = min(len(into), len(samples))
    into[len(into) - count :] = samples[len(samples) - count :]
