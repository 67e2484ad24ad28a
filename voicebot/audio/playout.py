"""What the caller hears now: prompts paced out, placed in time by marks and the clock. Pure.

Twilio plays what it is sent back to back and returns a mark once the audio before it was
played. Between marks a clock that starts with the sending stands in; a mark that returns later
than the clock expected moves it. All times are samples of the call's inbound 8 kHz clock.

Marks decide what was heard. What is sent when, and the echo canceller's reference, follow the
clock of the sending alone: a mark may come late, and then nothing runs dry and no echo is taken
for the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from voicebot.audio.placement import Placement
from voicebot.audio.sent import SentAudio
from voicebot.events import SAMPLE_RATE_HZ, BargeInMode, PromptHeard, SpokenPrompt

MIN_MESSAGE_SAMPLES = 320
"""A word that ends sooner after the last cut gets no mark of its own."""

MARK_GRACE_SAMPLES = SAMPLE_RATE_HZ
"""A mark that is this late by the clock is lost; the clock alone decides then."""

ECHOING_PROMPTS = 4
"""A prompt's echo comes up to 1.5 s after it; shorter prompts than this are rare."""

MAX_REPEAT_SAMPLES = 3 * SAMPLE_RATE_HZ // 2
"""A prompt that goes on after a pause repeats so much at most: word ends may not be known."""


@dataclass(frozen=True, slots=True)
class SendMedia:
    """Audio to send now."""

    mulaw: bytes


@dataclass(frozen=True, slots=True)
class SendMark:
    """A mark to send now; tell `mark_sent` under which name it went out."""

    label: str


@dataclass(slots=True)
class _Prompt:
    """A prompt of which not all was reported as heard. Positions count samples sent."""

    spoken: SpokenPrompt
    index: int
    start: int = 0  # position of its first sample, once `sent` or at the head of the queue
    sent: int = 0  # samples of it sent
    is_sent: bool = False  # its end mark too
    barge_in: BargeInMode | None = None

    @property
    def end(self) -> int:
        return self.start + len(self.spoken.mulaw)

    def text_until(self, position: int) -> str:
        """Its words that were complete at `position`."""
        if position >= self.end:
            return self.spoken.text if self.spoken.mulaw else ""
        heard = position - self.start
        chars = [end.chars for end in self.spoken.word_ends if 0 < end.sample <= heard]
        return self.spoken.text[: max(chars, default=0)].rstrip()

    def word_before(self, position: int) -> int:
        """Offset where the word that is being spoken at `position` began."""
        heard = min(max(0, position - self.start), len(self.spoken.mulaw))
        ends = [end.sample for end in self.spoken.word_ends if end.sample <= heard]
        return max(max(ends, default=0), heard - MAX_REPEAT_SAMPLES)

    def next_cut(self, message_samples: int) -> tuple[int, bool]:
        """(sample where the next message ends, whether a mark follows it)."""
        length = len(self.spoken.mulaw)
        limit = min(length, self.sent + message_samples)
        if limit == length:
            return length, True
        ends = [end.sample for end in self.spoken.word_ends]
        reachable = [at for at in ends if self.sent + MIN_MESSAGE_SAMPLES <= at <= limit]
        if reachable:
            return max(reachable), True
        ahead = (at for at in ends if limit < at < limit + MIN_MESSAGE_SAMPLES)
        return min(ahead, default=limit + MIN_MESSAGE_SAMPLES) - MIN_MESSAGE_SAMPLES, False


class Playout:
    """One call's outgoing audio.

    Twilio is given at most `ahead_samples` to hold, so that little has to be taken back when the
    caller interrupts, in messages of at most `message_samples`, with a mark after each message
    that ends with a word. Every prompt is reported once: by `mark_returned` or
    `settle` when it was heard to its end, by `clear` when it was cut. What was once heard stays
    heard: late marks make the position wait, never go back.
    """

    def __init__(self, ahead_samples: int = 3200, message_samples: int = 1600) -> None:
        """`message_samples` may not exceed `ahead_samples`."""
        if not 0 < message_samples <= ahead_samples:
            raise ValueError(f"0 < message_samples <= ahead_samples, not {message_samples}")
        self._ahead = ahead_samples
        self._message = message_samples
        self._prompts: deque[_Prompt] = deque()  # in order: heard in part, sent in part, waiting
        self._prompt_count = 0
        self._begun: deque[str] = deque(maxlen=ECHOING_PROMPTS)
        self._placement = Placement()
        self._sent = SentAudio()
        self._labels: dict[str, int] = {}  # marks handed out, not yet sent: position
        self._marks: dict[str, int] = {}  # marks sent, not yet returned: position
        self._confirmed = 0  # position up to which marks returned
        self._heard = 0
        self._reported_at = 0
        self._paused_at: int | None = None

    # ------------------------------------------------------------ the dialogue's side

    def enqueue(self, prompt: SpokenPrompt, barge_in: BargeInMode | None = None) -> None:
        """Play `prompt` after those before it. Without audio it is only a mark.

        `barge_in`: what may interrupt it, for `barge_in_mode`.
        """
        start = self._prompts[-1].end if self._prompts else self._placement.sent
        self._prompts.append(_Prompt(prompt, self._prompt_count, start, barge_in=barge_in))
        self._prompt_count += 1

    def pause(self, now: int) -> None:
        """Stop where the caller is; send Twilio's `clear` at once. Idempotent.

        What was cut is kept: `resume` goes on with the word that was being spoken, `clear`
        drops it and reports the words heard.
        """
        if self.is_paused:
            return
        heard = max(self._advance(now), self._forget_marks(now))
        start = self._placement.sent
        for prompt in self._prompts:
            if prompt.is_sent and prompt.end <= heard:
                prompt.start = start - len(prompt.spoken.mulaw)
                continue
            offset = prompt.word_before(heard)
            prompt.start, prompt.sent, prompt.is_sent = start - offset, offset, False
            start = prompt.end
        self._paused_at = now

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused_at = None

    @property
    def is_paused(self) -> bool:
        """True between `pause` and `resume` or `clear`."""
        return self._paused_at is not None

    def clear(self, now: int) -> PromptHeard | None:
        """Drop everything; the words of unreported prompts heard by now, None without any.

        Send Twilio's `clear` at once, unless `pause` did. Marks that return later are of the
        past. The report says when the caller last heard something.
        """
        heard = max(self._advance(now), self._forget_marks(now))
        report = None
        if self._prompts:
            was_cut = any(not p.is_sent or p.end > heard for p in self._prompts)
            cut_at = now if self._paused_at is None else self._paused_at
            report = PromptHeard(cut_at, self._text_until(heard), was_cut)
        self._prompts.clear()
        self._paused_at = None
        return report

    def _forget_marks(self, now: int) -> int:
        """What was sent and is not heard when the `clear` gets there never will be; the position
        heard until then."""
        self._labels.clear()
        self._marks.clear()
        heard = self._placement.cut(now)
        self._sent.cut(now)
        self._confirmed = self._heard = self._placement.sent
        return heard

    # ------------------------------------------------------------ the socket's side

    def due(self, now: int) -> list[SendMedia | SendMark]:
        """What to send now, in order; it counts as sent."""
        items: list[SendMedia | SendMark] = []
        for prompt in () if self.is_paused else self._unsent():
            while not prompt.is_sent:
                cut, has_mark = prompt.next_cut(self._message)
                if self._sent.queued(now) + cut - prompt.sent > self._ahead:
                    return items
                audio = prompt.spoken.mulaw[prompt.sent : cut]
                if not prompt.sent:
                    self._begun.append(prompt.spoken.text)
                if audio:
                    items.append(SendMedia(audio))
                    self._placement.send(audio, now)
                    self._sent.send(audio, now)
                prompt.sent = cut
                if has_mark:
                    label = f"p{prompt.index}s{cut}"
                    self._labels[label] = prompt.start + cut
                    items.append(SendMark(label))
                prompt.is_sent = cut == len(prompt.spoken.mulaw)
        return items

    def next_due(self, now: int) -> int | None:
        """When `due` will have something, `now` or later; None while nothing waits, or paused."""
        prompt = next(self._unsent(), None)
        if prompt is None or self.is_paused:
            return None
        message = prompt.next_cut(self._message)[0] - prompt.sent
        return max(now, self._sent.ends_at + message - self._ahead)

    def mark_sent(self, name: str, label: str) -> None:
        """The mark that `due` gave as `label` goes out as `name`."""
        position = self._labels.pop(label, None)
        if position is not None:
            self._marks[name] = position

    def mark_returned(self, name: str, was_cleared: bool, now: int) -> list[PromptHeard]:
        """A mark came back: prompts that were thereby heard to their end.

        Unknown and cleared marks say nothing. A mark that comes before its audio can have been
        played is believed only when the clock has got there (see `settle`).
        """
        position = self._marks.pop(name, None)
        if position is not None and not was_cleared:
            self._marks = {n: at for n, at in self._marks.items() if at >= position}
            self._advance(now)
            self._placement.played(self._confirmed, position, now)
            self._confirmed = max(self._confirmed, position)
        return self.settle(now)

    def settle(self, now: int) -> list[PromptHeard]:
        """Prompts heard to their end: marks say so, or the clock does and the mark is lost."""
        heard = self._advance(now)
        reports: list[PromptHeard] = []
        while self._prompts and self._prompts[0].is_sent and self._prompts[0].end <= heard:
            prompt = self._prompts[0]
            ended_at = max(min(now, self._placement.time_of(prompt.end)), self._reported_at)
            if self._waits_for_mark(prompt) and now < ended_at + MARK_GRACE_SAMPLES:
                break
            self._prompts.popleft()
            self._reported_at = ended_at
            reports.append(PromptHeard(ended_at, prompt.text_until(prompt.end), was_cut=False))
        return reports

    def _waits_for_mark(self, prompt: _Prompt) -> bool:
        if prompt.spoken.mulaw:
            return prompt.end > self._confirmed
        label = f"p{prompt.index}s0"
        return label in self._labels or prompt.end in self._marks.values()

    # ------------------------------------------------------------ what the caller hears

    def is_audible(self, now: int) -> bool:
        """Whether the caller hears the bot now."""
        return self._advance(now) < self._placement.sent

    @property
    def is_done(self) -> bool:
        """Nothing is left to send."""
        return next(self._unsent(), None) is None

    def barge_in_mode(self, now: int) -> BargeInMode | None:
        """What may interrupt the prompt that the caller hears now, or hears next; None if it has
        no mode of its own, or there is none."""
        heard = self._advance(now)
        of = (prompt.barge_in for prompt in self._prompts if prompt.end > heard)
        return next(of, None)

    def speaking(self) -> str:
        """The text of the prompts begun last, whose echo may come."""
        return " ".join(self._begun)

    def heard_until(self, now: int) -> str:
        """The words heard so far of prompts that were not reported yet."""
        return self._text_until(self._advance(now))

    def heard_samples(self, now: int) -> int:
        """Samples heard since the call began; what a `clear` dropped counts as heard."""
        return self._advance(now)

    @property
    def ends_at(self) -> int:
        """When the caller will have heard all that was sent."""
        return self._placement.ends_at

    def plays_after(self, at: int) -> bool:
        """Whether there is any reference after `at`, or will be."""
        return self._sent.ends_at > at

    def reference(self, from_at: int, to_at: int) -> bytes:
        """mu-law for the echo canceller: what was sent, as heard in [from_at, to_at) if nothing
        delayed it, silence where nothing plays. Its echo is never earlier.

        Reaches back about 10 s; ahead of now it is what will be heard if nothing cuts it.
        """
        return self._sent.between(from_at, to_at)

    def audio_heard(self, from_at: int, to_at: int) -> bytes:
        """mu-law of what the caller heard in [from_at, to_at), by marks: for the record."""
        return self._placement.audio(from_at, to_at)

    # ------------------------------------------------------------ inside

    def _advance(self, now: int) -> int:
        self._heard = max(self._heard, self._placement.position_at(now))
        return self._heard

    def _unsent(self) -> Iterator[_Prompt]:
        return (prompt for prompt in self._prompts if not prompt.is_sent)

    def _text_until(self, position: int) -> str:
        begun = (p for p in self._prompts if p.sent and p.start < position)
        return " ".join(text for p in begun if (text := p.text_until(position)))
