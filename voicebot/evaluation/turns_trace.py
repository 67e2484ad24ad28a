"""What the caller's ear got of a prompt, and what the recogniser heard: traced in virtual calls.

Messages reach the telephone a round trip after they were sent, on the inbound clock; it plays
them back to back until a `clear` gets there (telephony.playback). The same is worked out here
with the place of every sample in its prompt.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.audio.playout import Playout
from voicebot.evaluation.parts import make_listener
from voicebot.evaluation.telephone import NETWORK_MS, Telephone
from voicebot.evaluation.virtual_call import BotTurn, VirtualCall
from voicebot.events import SAMPLE_RATE_HZ, Expectation, Hypothesis, PromptHeard, SpokenPrompt

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from voicebot.audio.echo_path import EchoPath
    from voicebot.engine.runner import Runner
    from voicebot.engine.scheduler import Job

ONE_WAY = NETWORK_MS * SAMPLE_RATE_HZ // 1000
ROUND_TRIP = 2 * ONE_WAY


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to the telephone: "media", "mark" or "clear"."""

    now: int
    what: str
    content: bytes | str


class TracedTelephone(Telephone):
    """Remembers what it was sent."""

    def __init__(
        self,
        caller: NDArray[np.float32],
        path: EchoPath | None = None,
        voice: NDArray[np.float32] | None = None,
    ) -> None:
        """Without `path` a handset: no echo."""
        super().__init__(caller, path=path, voice=voice, round_trip=ROUND_TRIP)
        self.log: list[Sent] = []

    def send(self, what: str, content: bytes | str, now: int) -> None:
        """As Telephone.send."""
        self.log.append(Sent(now, what, content))
        super().send(what, content, now)


class TracedPlayout(Playout):
    """Remembers what it reported as heard when it was cut."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: list[tuple[int, PromptHeard | None]] = []

    def clear(self, now: int) -> PromptHeard | None:
        """As Playout.clear."""
        report = super().clear(now)
        self.cuts.append((now, report))
        return report


class TracedCall(VirtualCall):
    """A call of traced parts."""

    def __init__(
        self,
        phone: TracedTelephone,
        turns: Iterable[BotTurn] = (),
        *,
        react: Callable[[VirtualCall, object, int], None] | None = None,
    ) -> None:
        """As VirtualCall."""
        self.phone, self.cutting = phone, TracedPlayout()
        self.begun: list[int] = []
        """When each turn of the bot began."""
        super().__init__(make_listener, phone, turns, playout=self.cutting, react=react)

    def say(self, prompts: Iterable[SpokenPrompt], expectation: Expectation, now: int) -> None:
        """As VirtualCall.say."""
        self.begun.append(now)
        super().say(prompts, expectation, now)


# ---------------------------------------------------------------- at the ear


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples [place, place + end - begin) of a prompt, heard in [begin, end) of the call."""

    begin: int
    end: int
    place: int


def heard_pieces(log: Sequence[Sent], prompt: SpokenPrompt, since: int, until: int) -> list[Piece]:
    """How `prompt`, the only one sent in [since, until), was heard, in order of time.

    What is sent between two clears goes on without a gap; its place is where it occurs in the
    prompt: nearest before what was heard already, since pauses are all alike, else behind it.
    """
    pieces: list[Piece] = []
    reached = played_until = 0
    for sent in _runs([of for of in log if since <= of.now < until]):
        if sent[0].what == "clear":
            at = sent[0].now + ROUND_TRIP
            pieces = [_until(piece, at) for piece in pieces if piece.begin < at]
            played_until = min(played_until, at)
            reached = max((p.place + p.end - p.begin for p in pieces), default=0)
            continue
        messages = [
            (of.now + ROUND_TRIP, of.content) for of in sent if isinstance(of.content, bytes)
        ]
        whole = b"".join(content for _, content in messages)
        place = prompt.mulaw.rfind(whole, 0, reached + len(whole))
        place = place if place >= 0 else prompt.mulaw.find(whole)
        if place < 0:
            raise ValueError("messages that are not of this prompt")
        for arrives, content in messages:
            begin = max(arrives, played_until)
            played_until = begin + len(content)
            pieces.append(Piece(begin, played_until, place))
            place += len(content)
    return pieces


def _runs(log: Sequence[Sent]) -> list[list[Sent]]:
    """Messages between clears, and each clear by itself."""
    of = [sent for sent in log if sent.what != "mark"]
    groups = itertools.groupby(
        enumerate(of), lambda item: (item[1].what == "clear") * (item[0] + 1)
    )
    return [[sent for _, sent in group] for _, group in groups]


def _until(piece: Piece, at: int) -> Piece:
    return Piece(piece.begin, min(piece.end, at), piece.place)


def words_until(prompt: SpokenPrompt, place: int) -> int:
    """Words of the prompt that are complete at sample `place` of it."""
    chars = max((end.chars for end in prompt.word_ends if 0 < end.sample <= place), default=0)
    return len(prompt.text[:chars].split())


def words_lost(prompt: SpokenPrompt, pieces: Sequence[Piece]) -> int:
    """Words of which some samples were skipped between one piece and the next, or at the end."""
    bounds = [0, *(end.sample for end in prompt.word_ends)]
    words = list(itertools.pairwise(bounds))
    lost: set[int] = set()
    reached = 0
    for begin, end in [(p.place, p.place + p.end - p.begin) for p in pieces] + [
        (len(prompt.mulaw), len(prompt.mulaw))
    ]:
        lost |= {
            i for i, (a, b) in enumerate(words) if a < begin and b > reached and begin > reached
        }
        reached = max(reached, end)
    return len(lost)


# ---------------------------------------------------------------- what was recognised


@dataclass(frozen=True, slots=True)
class Recognised:
    """An answer of the recogniser, and what computing it took."""

    slot: int
    kind: str
    start_at: int
    end_at: int
    text: str
    confidence: float
    compute_s: float


class Ears:
    """The recogniser, overheard. What is asked once the caller has the floor is not computed
    where `until_barge_in`: it decides nothing any more that is measured."""

    def __init__(
        self, runner: Runner, calls: Sequence[TracedCall], *, until_barge_in: bool = False
    ) -> None:
        """`runner` recognises for `calls`, its slots in order."""
        self._runner, self._calls = runner, calls
        self._until_barge_in = until_barge_in
        self.heard: list[Recognised] = []

    def recognise(self, jobs: Sequence[Job]) -> Sequence[Hypothesis]:
        """In the Runner's place."""
        wanted = [job for job in jobs if not (self._until_barge_in and self._is_decided(job.slot))]
        began = time.perf_counter()
        answers = dict(zip(wanted, self._runner.recognise(wanted), strict=True)) if wanted else {}
        took = (time.perf_counter() - began) / max(1, len(wanted))
        for job, answer in answers.items():
            of = (job.slot, job.kind.name.lower(), job.start_at, job.end_at)
            self.heard.append(Recognised(*of, answer.text, answer.confidence, took))
        return [answers.get(job, Hypothesis("")) for job in jobs]

    def _is_decided(self, slot: int) -> bool:
        call = self._calls[slot]
        return bool(call.cutting.cuts) and call.cutting.cuts[-1][0] >= call.begun[-1]
