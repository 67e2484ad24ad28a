"""The telephone model on a device, as the engine calls it: large batches, decoded greedily.

Spans of calls go the short way (`understand`): brought to the model's rate, prepared, encoded and
decoded on the device, put into words all together. Other audio is prepared and judged on the
host as on a CPU (`recogniser`). What the dialogue expects does not steer the search here, and words
have no times: beams and automata ask the host for every token. Nor is it asked whether English was
spoken (`language`): what is read greedily counts as somebody speaking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from voicebot.asr import checkpoint
from voicebot.asr.automaton import Automaton
from voicebot.asr.batches import Frames
from voicebot.asr.decoder import Decoded
from voicebot.asr.device_streams import choose_kernels, is_full
from voicebot.asr.moonshine import SAMPLE_RATE_HZ, Encoded, Moonshine
from voicebot.asr.moonshine_device import decode
from voicebot.asr.moonshine_packed import PackedMoonshine
from voicebot.asr.recogniser import JudgeEnd, Recogniser, token_limits
from voicebot.asr.stream import Draft
from voicebot.asr.telephone_lanes import TelephoneLanes
from voicebot.asr.telephone_places import LONGEST, Heard
from voicebot.asr.telephone_sound import INPUT_HZ
from voicebot.asr.telephone_text import Place, Speller
from voicebot.asr.utterance import Samples
from voicebot.asr.vocabulary import Vocabulary
from voicebot.events import Expectation, Hypothesis

MOST = {"cuda": 2048, "cpu": 8}
"""Utterances of a batch, if there is memory for so many."""
LANES = 3
"""Batches under way at once: one on the device, one being prepared, one being put into words."""
WARM_UP_SHAPES = {"cuda": ((8, 64), (2, 64)), "cpu": ((2, 2),)}
"""Seconds and utterances of what does not go through lanes: hot words, and what is too long."""
_INT16 = np.float32(1 / 32768)
One = TypeVar("One")


@dataclass(frozen=True, slots=True)
class _OnDevice(Encoded):
    """`frames` is on the host where somebody wants to look at them, else empty."""

    device_frames: Tensor


class DeviceRecogniser(Recogniser):
    """A Recogniser whose network lies on a device. `understand` may be called from as many threads
    as there are `lanes`; everything else from one at a time."""

    def __init__(
        self,
        cache_dir: Path | str,
        device: torch.device,
        *,
        model: Path | None = None,
        most: int | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`model`: a checkpoint in place of the shipped one. `most`: utterances of a batch.

        `clock`: seconds, for the times of stages where the device has no clock of its own.
        """
        stored, self.cache_problem = checkpoint.load(cache_dir, model)
        network = checkpoint.build(stored.weights())
        self._place(network, Vocabulary(stored.tokens), device, most=most, clock=clock)

    @classmethod
    def on(
        cls,
        network: Moonshine,
        vocabulary: Vocabulary,
        device: torch.device,
        *,
        most: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> DeviceRecogniser:
        """Of a network in memory. `dtype`: in which `understand` computes; bfloat16 on a GPU."""
        recogniser = cls.__new__(cls)
        recogniser.cache_problem = None
        recogniser._place(network, vocabulary, device, most=most, dtype=dtype)
        return recogniser

    def _place(
        self,
        network: Moonshine,
        vocabulary: Vocabulary,
        device: torch.device,
        *,
        most: int | None = None,
        dtype: torch.dtype | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        choose_kernels(device)
        self.device = device
        self.shortages = 0
        self.stage_s: dict[str, float] = {}
        self.batches = 0
        self._wants_frames = False
        self._counting = threading.Lock()
        self._alone = threading.RLock()
        self._setup(network.to(device).eval().requires_grad_(False), vocabulary)
        is_cuda = device.type == "cuda"
        packed = PackedMoonshine(
            self.model, dtype or (torch.bfloat16 if is_cuda else torch.float32)
        )
        self.lanes = TelephoneLanes(
            packed, most=most or MOST[device.type], lanes=LANES, clock=clock
        )
        self._speller = Speller(vocabulary)

    @property
    def most(self) -> int:
        """Utterances of a batch: what there proved to be memory for."""
        return self.lanes.most

    def is_alive(self) -> bool:
        """Whether the device still computes."""
        try:
            return int(torch.ones(1, device=self.device).add_(1)) == 2
        except Exception:
            return False

    def understand(
        self,
        spans: Sequence[NDArray[np.int16]],
        *,
        judge: JudgeEnd | None = None,
        judged: Sequence[bool] | None = None,
        at: Sequence[Place] | None = None,
    ) -> list[Hypothesis]:
        """One reading of each span of a call, int16 at 8 kHz; `judge` as in `transcribe`, asked
        about all or those that are to be `judged`; `at`: where each begins and ends."""
        at = at or [(0, 0)] * len(spans)
        asked = [judge is not None and (judged is None or of_one) for of_one in judged or at]
        found = [Hypothesis("", start_at=start, end_at=end) for start, end in at]
        long = [index for index, span in enumerate(spans) if len(span) > LONGEST]
        for of, is_asked in ((judge, True), (None, False)):
            some = [index for index in long if asked[index] == is_asked]
            for index, heard in zip(some, self._long([spans[i] for i in some], of), strict=True):
                found[index] = replace(heard, start_at=at[index][0], end_at=at[index][1])
        rest = [index for index, span in enumerate(spans) if 0 < len(span) <= LONGEST]
        rest.sort(key=asked.__getitem__, reverse=True)  # frames of the first rows come back
        while rest:
            room = self.lanes.room(max(len(spans[index]) for index in rest))
            part, rest = rest[:room], rest[room:]
            placed = [(spans[index], at[index], asked[index]) for index in part]
            told = self._halved(partial(self._heard, judge), placed)
            for index, heard in zip(part, told, strict=True):
                found[index] = heard
        return found

    def _long(self, spans: Sequence[NDArray[np.int16]], judge: JudgeEnd | None) -> list[Hypothesis]:
        """Of what is too long for a lane."""
        floats = [span.astype(np.float32) * _INT16 for span in spans]
        wide = [soxr.resample(samples, INPUT_HZ, SAMPLE_RATE_HZ) for samples in floats]
        return self.transcribe(wide, judge=judge) if wide else []

    def _heard(
        self, judge: JudgeEnd | None, placed: Sequence[tuple[NDArray[np.int16], Place, bool]]
    ) -> list[Hypothesis]:
        """Who is judged comes first."""
        spans, at = [span for span, _, _ in placed], [place for _, place, _ in placed]
        asked = sum(is_asked for _, _, is_asked in placed)
        heard = self.lanes.run(spans, frames_of=asked)
        self._count(heard)
        told = self._speller.hypotheses(heard, at)
        rows = heard.is_audible[:asked].nonzero()[0].tolist()
        if judge is None or not rows:
            return told
        ended = judge([heard.frames[row] for row in rows], [2 * len(spans[row]) for row in rows])
        for row, probability in zip(rows, ended, strict=True):
            told[row] = replace(told[row], end_probability=probability)
        return told

    def _count(self, heard: Heard) -> None:
        with self._counting:
            self.batches += 1
            for name, seconds in heard.stage_s.items():
                self.stage_s[name] = self.stage_s.get(name, 0.0) + seconds

    def _halved(
        self, work: Callable[[Sequence[One]], list[Hypothesis]], batch: Sequence[One]
    ) -> list[Hypothesis]:
        """All of the batch at once; where memory is short, its halves."""
        try:
            return work(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_full(error) or len(batch) == 1:
                raise
        self.shortages += 1
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        half: int = len(batch) // 2
        return [*self._halved(work, batch[:half]), *self._halved(work, batch[half:])]

    def transcribe(
        self,
        batch: Sequence[Samples],
        *,
        nbest: int = 1,
        max_tokens: int | None = None,
        judge: JudgeEnd | None = None,
        expectations: Sequence[Expectation | None] | None = None,
        drafts: Sequence[Draft | None] | None = None,
    ) -> list[Hypothesis]:
        """See Recogniser; one reading of each. Where memory is short, halves of the batch."""
        read = super().transcribe

        def transcribed(some: Sequence[Samples]) -> list[Hypothesis]:
            return read(some, max_tokens=max_tokens, judge=judge)

        with self._alone:
            self._wants_frames = judge is not None
            return self._halved(transcribed, batch)

    def _encode(self, pieces: list[Samples]) -> Encoded:
        """All pieces in one batch."""
        lengths = [len(piece) for piece in pieces]
        padded = torch.zeros(len(pieces), max(lengths))
        for row, piece in zip(padded, pieces, strict=True):
            row[: len(piece)] = torch.from_numpy(piece)
        if self.device.type == "cuda":
            padded = padded.pin_memory().to(self.device, non_blocking=True)
        encoded = self.model.encoder(padded, lengths)
        frames = encoded.frames
        seen = frames.cpu() if self._wants_frames else frames[:, :, :0]
        return _OnDevice(seen, encoded.lengths, frames)

    def _find(
        self,
        encoded: Encoded,
        pieces: list[Samples],
        nbest: int,
        max_tokens: int | None,
        automata: Sequence[Automaton | None] | None = None,
        drafts: Sequence[Draft | None] | None = None,
    ) -> list[list[Decoded]]:
        limits = token_limits(pieces, max_tokens)
        assert isinstance(encoded, _OnDevice)
        there = Encoded(encoded.device_frames, encoded.lengths)
        return [[one] for one in decode(self.model, there, limits)]

    def encode(self, batch: Sequence[Samples]) -> list[Frames]:
        """See Recogniser."""
        with self._alone:
            self._wants_frames = True
            return super().encode(batch)

    def warm_up(self) -> None:
        """Take the memory and record the graphs of all shapes: no caller waits for them."""
        self.lanes.warm_up()
        noise = np.random.default_rng(0).normal(0, 0.05, 8 * SAMPLE_RATE_HZ).astype(np.float32)
        for seconds, size in WARM_UP_SHAPES[self.device.type]:
            self.transcribe([noise[: seconds * SAMPLE_RATE_HZ]] * size, max_tokens=8)
