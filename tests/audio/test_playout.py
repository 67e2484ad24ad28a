"""Playout against a line that behaves as Twilio does: back to back, marks after playback."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.audio import mulaw
from voicebot.audio.playout import MARK_GRACE_SAMPLES, Playout, SendMark, SendMedia
from voicebot.events import BargeInMode, PhraseEnd, PromptHeard, SpokenPrompt

pytestmark = pytest.mark.unit

AHEAD, MESSAGE = 3200, 1600


def prompt(text: str = "one two three four five", word: int = 3000, seed: int = 1) -> SpokenPrompt:
    """Each word `word` samples of noise."""
    words = text.split()
    audio = np.random.default_rng(seed).integers(0, 127, word * len(words), np.uint8).tobytes()
    chars, ends = 0, []
    for index, spoken in enumerate(words):
        chars = text.index(spoken, chars) + len(spoken)
        ends.append(PhraseEnd((index + 1) * word, chars))
    return SpokenPrompt(text, audio, tuple(ends))


@dataclass
class Line:
    """Playout, a caller's ear and what lies between: `lag` samples each way."""

    playout: Playout = field(default_factory=lambda: Playout(AHEAD, MESSAGE))
    lag: int = 0
    lost: frozenset[int] = frozenset()  # numbers of marks that never return
    early: frozenset[int] = frozenset()  # numbers of marks that return as soon as they arrive
    jitter: int = 0  # a mark is held up by so many samples at most
    now: int = 0
    arriving: deque[tuple[int, SendMedia | SendMark | str]] = field(default_factory=deque)
    buffer: deque[bytes | str] = field(default_factory=deque)
    returning: deque[tuple[int, str]] = field(default_factory=deque)
    stall: int = 0  # by so much messages were held up on their way
    marks: int = 0
    ear: bytearray = field(default_factory=bytearray)
    heard: list[PromptHeard] = field(default_factory=list)
    messages: list[SendMedia | SendMark] = field(default_factory=list)

    def until(self, at: int) -> "Line":
        while self.now < at:
            self.step()
        return self

    def step(self) -> None:
        """20 ms: send what is due, play, return marks."""
        for item in self.playout.due(self.now):
            self.messages.append(item)
            if isinstance(item, SendMark):
                self.marks += 1
                name = f"mark-{self.marks}"
                self.playout.mark_sent(name, item.label)
                self.arriving.append((self.now + self.lag, name))
            else:
                self.arriving.append((self.now + self.lag, item))
        self._play()
        self.now += 160
        while self.returning and self.returning[0][0] <= self.now:
            self._returned(*self.returning.popleft())
        self.heard += self.playout.settle(self.now)

    def _play(self) -> None:
        while self.arriving and self.arriving[0][0] <= self.now:
            item = self.arriving.popleft()[1]
            if isinstance(item, SendMark):  # a `clear`
                self.buffer.clear()
                continue
            if isinstance(item, str) and int(item.split("-")[1]) in self.early:
                self.returning.append((self.now, item))
            else:
                self.buffer.append(item if isinstance(item, str) else item.mulaw)
        held = sum(len(item) for item in self.buffer if isinstance(item, bytes))
        assert held <= AHEAD + 160 + self.stall, "Twilio holds no more than that"
        played = bytearray()
        while self.buffer and (isinstance(self.buffer[0], str) or len(played) < 160):
            item = self.buffer.popleft()
            if isinstance(item, str):
                self.returning.append((self.now + len(played) + self.lag, item))
                continue
            room = 160 - len(played)
            played += item[:room]
            if len(item) > room:
                self.buffer.appendleft(item[room:])
        self.ear += bytes(played).ljust(160, mulaw.SILENCE)

    def _returned(self, at: int, name: str) -> None:
        number = int(name.split("-")[1])
        if number not in self.lost:
            held_up = self.jitter * (number * 7 % 5) // 4
            self.heard += self.playout.mark_returned(name, False, at + held_up)

    def pause(self) -> None:
        self.buffer.clear()
        self.arriving.clear()
        self.playout.pause(self.now)

    def clear(self) -> PromptHeard | None:
        self.buffer.clear()
        self.arriving.clear()
        return self.playout.clear(self.now)


def audio_of(line: Line) -> bytes:
    return b"".join(item.mulaw for item in line.messages if isinstance(item, SendMedia))


# ---------------------------------------------------------------- sending


def test_a_prompt_is_sent_whole_and_in_time() -> None:
    line, spoken = Line(), prompt()
    line.playout.enqueue(spoken)
    line.until(20000)
    assert audio_of(line) == spoken.mulaw
    assert bytes(line.ear[: len(spoken.mulaw)]) == spoken.mulaw, "without a gap"
    assert line.heard == [PromptHeard(15000, spoken.text, was_cut=False)]


def test_few_large_messages_with_marks_at_word_ends() -> None:
    line = Line()
    line.playout.enqueue(prompt())
    line.until(20000)
    sizes = [len(item.mulaw) for item in line.messages if isinstance(item, SendMedia)]
    assert max(sizes) <= MESSAGE
    assert len(sizes) == 10, "two for each word of 3000 samples"
    position, marks = 0, []
    for item in line.messages:
        position += len(item.mulaw) if isinstance(item, SendMedia) else 0
        marks += [position] if isinstance(item, SendMark) else []
    assert marks == [3000, 6000, 9000, 12000, 15000]


def test_short_words_share_a_message() -> None:
    line = Line()
    line.playout.enqueue(prompt("a b c d e f g h", word=400))
    line.until(8000)
    sizes = [len(item.mulaw) for item in line.messages if isinstance(item, SendMedia)]
    assert sizes == [1600, 1600]


@pytest.mark.parametrize("lag", [0, 160, 480, 800, 1120, 1760, 4000])
@pytest.mark.parametrize("jitter", [0, 4000])
def test_a_slow_line_does_not_run_dry(lag: int, jitter: int) -> None:
    line, spoken = Line(lag=lag, jitter=jitter), prompt("one two three four five six seven eight")
    line.playout.enqueue(spoken)
    line.until(40000)
    assert spoken.mulaw in bytes(line.ear)


def test_nothing_is_sent_beyond_ahead() -> None:
    playout = Playout(AHEAD, MESSAGE)
    playout.enqueue(prompt())
    first = playout.due(0)
    assert sum(len(item.mulaw) for item in first if isinstance(item, SendMedia)) <= AHEAD
    assert playout.due(0) == []


def test_next_due_is_when_something_is_due() -> None:
    playout = Playout(AHEAD, MESSAGE)
    assert playout.next_due(5) is None
    playout.enqueue(prompt())
    now, audio = 1000, 0
    assert playout.next_due(now) == now
    for _ in range(100):
        at = playout.next_due(now)
        if at is None:
            break
        assert at == now or not playout.due(at - 1), "not a sample too late"
        now = at
        items = playout.due(now)
        assert items, "not a sample too early"
        audio += sum(len(item.mulaw) for item in items if isinstance(item, SendMedia))
    assert audio == 15000
    assert playout.next_due(now) is None


def test_two_prompts_follow_without_a_gap() -> None:
    line, first, second = Line(), prompt("one two"), prompt("three four", seed=2)
    line.playout.enqueue(first)
    line.playout.enqueue(second)
    line.until(20000)
    assert bytes(line.ear[:12000]) == first.mulaw + second.mulaw
    assert [report.text for report in line.heard] == ["one two", "three four"]
    assert [report.was_cut for report in line.heard] == [False, False]


def test_prompt_without_audio_is_a_mark() -> None:
    line = Line()
    line.playout.enqueue(SpokenPrompt("", b""))
    line.until(800)
    assert [type(item) for item in line.messages] == [SendMark]
    assert [(report.text, report.was_cut) for report in line.heard] == [("", False)]
    assert not line.playout.is_audible(line.now)


def test_prompt_without_audio_between_others_keeps_its_place() -> None:
    line = Line()
    for spoken in (prompt("one"), SpokenPrompt("", b""), prompt("two")):
        line.playout.enqueue(spoken)
    line.until(16000)
    assert [report.text for report in line.heard] == ["one", "", "two"]


def test_prompt_without_word_ends_is_all_or_nothing() -> None:
    line = Line()
    line.playout.enqueue(SpokenPrompt("hello there", b"\x10" * 8000))
    line.until(7840)
    assert line.playout.heard_until(line.now) == ""
    line.until(16000)
    assert line.heard[0].text == "hello there"


def test_message_longer_than_ahead_is_refused() -> None:
    with pytest.raises(ValueError, match="message_samples"):
        Playout(ahead_samples=800, message_samples=1600)


# ---------------------------------------------------------------- what was heard


def test_words_are_heard_one_after_the_other() -> None:
    line = Line()
    line.playout.enqueue(prompt())
    texts = [line.until(at).playout.heard_until(line.now) for at in (2880, 3040, 8960, 9120)]
    assert texts == ["", "one", "one two", "one two three"]


def test_clear_in_the_middle_of_a_word() -> None:
    line = Line()
    line.playout.enqueue(prompt())
    line.until(10400)
    assert line.clear() == PromptHeard(10400, "one two three", was_cut=True)
    assert not line.playout.is_audible(line.now)
    assert line.playout.next_due(line.now) is None
    assert line.playout.due(line.now) == []
    line.until(40000)
    assert line.heard == []


def test_clear_before_the_first_word_and_before_anything() -> None:
    line = Line()
    assert line.clear() is None
    line.playout.enqueue(prompt())
    line.until(1600)
    assert line.clear() == PromptHeard(1600, "", was_cut=True)
    line.playout.enqueue(prompt())
    assert line.clear() == PromptHeard(1600, "", was_cut=True)
    assert line.clear() is None


def test_clear_in_the_second_prompt_tells_what_of_both_was_not_reported() -> None:
    line = Line(lost=frozenset({2}))
    line.playout.enqueue(prompt("one two"))
    line.playout.enqueue(prompt("three four"))
    line.until(8000)  # the first was heard; its last mark did not come back
    assert line.heard == []
    assert line.clear() == PromptHeard(8000, "one two", was_cut=True)
    line = Line()
    line.playout.enqueue(prompt("one two"))
    line.playout.enqueue(prompt("three four"))
    line.until(9600)
    assert [report.text for report in line.heard] == ["one two"]
    assert line.clear() == PromptHeard(9600, "three", was_cut=True)


def test_clear_after_the_end_cuts_nothing() -> None:
    line = Line(lost=frozenset(range(1, 6)))
    line.playout.enqueue(prompt())
    line.until(15200)
    assert line.clear() == PromptHeard(line.now, "one two three four five", was_cut=False)


def test_marks_of_a_cleared_prompt_say_nothing() -> None:
    playout = Playout(AHEAD, MESSAGE)
    playout.enqueue(prompt())
    (mark,) = [item for item in playout.due(0) if isinstance(item, SendMark)]
    playout.mark_sent("a", mark.label)
    playout.clear(800)
    playout.enqueue(prompt("six seven"))
    playout.due(800)
    assert playout.mark_returned("a", True, 900) == []
    assert playout.mark_returned("a", False, 900) == []
    assert playout.heard_until(900) == ""


def test_a_new_prompt_after_a_cut_starts_clean() -> None:
    line = Line(lag=400)
    line.playout.enqueue(prompt())
    line.until(8000)
    line.clear()
    again = prompt("six seven", seed=5)
    line.playout.enqueue(again)
    line.until(24000)
    assert [report.text for report in line.heard] == ["six seven"]
    assert again.mulaw in bytes(line.ear)


@pytest.mark.parametrize("lag", [0, 160, 800, 1440])
def test_heard_text_is_true_within_a_word_whatever_the_lag(lag: int) -> None:
    """Cut at any time: what is recorded differs from what was heard by at most one word."""
    spoken = prompt("one two three four five six seven eight", word=2000)
    for at in range(800, 16000, 1120):
        line = Line(lag=lag)
        line.playout.enqueue(spoken)
        line.until(at)
        report = line.clear()
        # The ear hears `lag` after sending, and the clock counts the way back too.
        truly = len(bytes(line.ear).rstrip(mulaw.SILENCE)) - lag
        assert report is not None
        assert abs(len(report.text.split()) - max(0, truly) // 2000) <= 1


def test_late_marks_hold_the_clock() -> None:
    punctual, late = Line(), Line(lag=800)
    for line in (punctual, late):
        line.playout.enqueue(prompt())
        line.until(8000)
    assert punctual.playout.heard_samples(8000) == 8000
    assert late.playout.heard_samples(8000) == 8000 - 1600


def test_later_prompts_expect_the_lag_of_earlier_ones() -> None:
    line = Line(lag=400)
    line.playout.enqueue(prompt())
    line.until(24000)
    line.playout.enqueue(prompt("six seven eight"))
    line.until(24000 + 3200)
    assert line.playout.heard_until(line.now) == "", "800 samples on the way"
    line.until(24000 + 4000)
    assert line.playout.heard_until(line.now) == "six"


# ---------------------------------------------------------------- marks that misbehave


@pytest.mark.parametrize("lost", [{1}, {5}, {1, 2, 3}, {1, 2, 3, 4, 5}])
def test_lost_marks_neither_stop_the_prompt_nor_its_report(lost: set[int]) -> None:
    line, spoken = Line(lost=frozenset(lost)), prompt()
    line.playout.enqueue(spoken)
    line.until(15000 + MARK_GRACE_SAMPLES + 320)
    assert bytes(line.ear[:15000]) == spoken.mulaw
    assert [report.text for report in line.heard] == [spoken.text]


def test_a_later_mark_makes_up_for_a_lost_one() -> None:
    line = Line(lost=frozenset({2}))
    line.playout.enqueue(prompt("one two"))
    line.playout.enqueue(prompt("three four"))
    line.until(9200)  # "three" was heard, well within the grace of the lost mark
    assert [report.text for report in line.heard] == ["one two"]


@pytest.mark.parametrize("early", [{1}, {5}, {1, 2, 3, 4, 5}])
def test_early_marks_do_not_hurry_the_clock(early: set[int]) -> None:
    line, spoken = Line(early=frozenset(early)), prompt()
    line.playout.enqueue(spoken)
    line.until(14800)
    assert line.heard == []
    assert line.playout.heard_samples(line.now) <= line.now
    line.until(15360)
    assert [report.text for report in line.heard] == [spoken.text]


def test_a_mark_held_up_for_long_does_not_stop_the_prompt() -> None:
    playout = Playout(AHEAD, MESSAGE)
    playout.enqueue(prompt("one two three four five six seven eight"))
    sent = sum(len(item.mulaw) for item in playout.due(0) if isinstance(item, SendMedia))
    now = 0
    while now < 8 * 8000:
        now += 160
        for item in playout.due(now):
            if isinstance(item, SendMark):
                playout.mark_sent(item.label, item.label)
            else:
                sent += len(item.mulaw)
        if now == 8000:
            playout.mark_returned("p0s6000", False, 9 * 8000)  # its time is nonsense
    assert sent == 24000


def test_unknown_marks_and_labels_are_ignored() -> None:
    playout = Playout()
    playout.mark_sent("a", "never handed out")
    assert playout.mark_returned("a", False, 100) == []
    assert playout.mark_returned("b", True, 100) == []


# ---------------------------------------------------------------- the reference


def test_reference_is_what_was_heard() -> None:
    line = Line()
    line.playout.enqueue(prompt())
    line.until(20000)
    assert line.playout.reference(0, 20000) == bytes(line.ear)
    assert line.playout.reference(14000, 16000) == bytes(line.ear[14000:16000])
    assert line.playout.reference(20000, 20000) == line.playout.reference(9, 3) == b""
    assert line.playout.reference(-100, 0) == mulaw.SILENCE * 100


@pytest.mark.parametrize("lag", [160, 480, 1760])
@pytest.mark.parametrize("jitter", [0, 200, 2400])
@pytest.mark.parametrize("lost", [(), (1, 3, 8), range(1, 40)])
def test_the_echo_lies_behind_the_reference_by_one_time(
    lag: int, jitter: int, lost: Iterable[int]
) -> None:
    """Whatever the marks do: in two prompts, and when one of them is cut and goes on."""
    line = Line(lag=lag, jitter=jitter, lost=frozenset(lost))
    line.playout.enqueue(prompt("one two three four five six seven", word=1500))
    line.until(16000)
    line.playout.enqueue(prompt("eight nine ten eleven", seed=2))
    line.until(22400).playout.clear(line.now)
    line.arriving.append((line.now + lag, SendMark("clear")))
    line.until(28000).playout.enqueue(prompt("twelve thirteen", seed=3))
    line.until(40000)
    assert line.playout.reference(0, 40000 - lag) == bytes(line.ear[lag:])


@pytest.mark.parametrize("lag", [0, 480, 1760])
def test_what_is_cut_is_heard_until_the_clear_gets_there(lag: int) -> None:
    line, spoken = Line(lag=lag), prompt("one two three four", word=3000)
    line.playout.enqueue(spoken)
    line.until(6400)  # sound sent until 6400 - 2 * lag has been heard and echoed by now
    report = line.playout.clear(line.now)
    assert report == PromptHeard(6400, "one two", was_cut=True), "the second word ends on the way"
    assert line.playout.reference(0, 12000) == spoken.mulaw[:6400] + mulaw.SILENCE * 5600


def test_the_record_follows_marks() -> None:
    line, spoken = Line(lag=480), prompt("one two three four five six seven")
    line.playout.enqueue(spoken)
    line.until(29600)
    assert line.playout.audio_heard(12960, 21960) == spoken.mulaw[12000:21000]


def test_the_record_follows_a_stall_on_the_way() -> None:
    line, spoken = Line(stall=6400), prompt("one two three four five six seven eight")
    line.playout.enqueue(spoken)
    line.until(7200)
    line.lag = 6400  # what leaves now arrives 800 ms late: the line runs dry meanwhile
    line.until(8800).lag = 0
    line.until(48000)
    last = spoken.mulaw[21000:]
    truly = bytes(line.ear).index(last)
    assert truly > 21000 + 1600
    assert line.playout.audio_heard(0, 48000).index(last) == pytest.approx(truly, abs=160)


def test_reference_is_cut_by_clear() -> None:
    line = Line()
    line.playout.enqueue(prompt())
    line.until(8000)
    line.clear()
    line.until(16000)
    line.playout.enqueue(prompt("six", seed=9))
    line.until(24000)
    assert line.playout.reference(0, 24000) == bytes(line.ear)


def test_reference_ahead_of_now_is_what_will_be_heard() -> None:
    playout, spoken = Playout(AHEAD, MESSAGE), prompt()
    playout.enqueue(spoken)
    playout.due(0)
    assert playout.reference(0, 3000) == spoken.mulaw[:3000]


def test_paused_prompt_goes_on_with_the_word_that_was_cut() -> None:
    line = Line()
    line.playout.enqueue(prompt("one two three", word=2000))
    line.until(3000)  # in the middle of "two"
    line.pause()
    assert line.playout.is_paused
    assert not line.playout.is_audible(line.now)
    assert line.playout.next_due(line.now) is None
    line.until(8000)
    assert line.playout.heard_until(line.now) == "one"
    line.playout.resume()
    line.until(20000)
    spoken = prompt("one two three", word=2000).mulaw
    assert bytes(line.ear[:3000]) == spoken[:3000]
    assert bytes(line.ear[8000:12000]) == spoken[2000:]
    assert [report.text for report in line.heard] == ["one two three"]
    assert not line.heard[0].was_cut


def test_paused_prompt_that_is_dropped_was_heard_until_the_pause() -> None:
    line = Line()
    line.playout.enqueue(prompt("one two three", word=2000))
    line.playout.enqueue(prompt("four", word=2000))
    line.until(4500)
    line.pause()
    line.playout.pause(line.now + 160)  # idempotent
    at = line.now
    assert line.playout.clear(at + 4000) == PromptHeard(at, "one two", was_cut=True)
    assert not line.playout.is_paused
    assert line.playout.is_done


def test_pause_after_the_last_word_leaves_nothing_to_play() -> None:
    line = Line()
    line.playout.enqueue(prompt("one", word=2000))
    line.lost = frozenset({1, 2})
    line.until(2400)
    line.pause()
    line.playout.resume()
    assert line.playout.due(line.now) == []
    (report,) = line.playout.settle(line.now + 160)
    assert report.text == "one"
    assert not report.was_cut


def test_each_prompt_says_what_may_interrupt_it() -> None:
    line = Line()
    line.playout.enqueue(prompt("one", word=2000), BargeInMode.NONE)
    line.playout.enqueue(prompt("two", word=2000), BargeInMode.HOTWORD)
    assert line.playout.barge_in_mode(0) is BargeInMode.NONE, "the one that is heard next"
    line.until(1000)
    assert line.playout.barge_in_mode(line.now) is BargeInMode.NONE
    line.until(3000)
    assert line.playout.barge_in_mode(line.now) is BargeInMode.HOTWORD
    assert line.playout.speaking() == "one two"
    line.until(6000)
    assert line.playout.barge_in_mode(line.now) is None


def test_history_is_bounded() -> None:
    line = Line()
    line.playout.enqueue(prompt("word " * 120, word=3000))
    line.until(366400)
    for kept in (
        sum(len(segment.audio) for segment in line.playout._placement._segments),
        sum(len(audio) for _, audio in line.playout._sent._messages),
    ):
        assert 10 * 8000 <= kept <= 12 * 8000
    assert line.playout.reference(line.now - 80000, line.now) == bytes(line.ear[-80000:])
    assert line.playout.audio_heard(line.now - 80000, line.now) == bytes(line.ear[-80000:])


# ---------------------------------------------------------------- any course of events

prompts = st.builds(
    prompt,
    st.sampled_from(["one", "one two", "one two three four", "un deux trois quatre cinq six"]),
    st.integers(200, 5000),
    st.integers(0, 5),
)
courses = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.just("play"), prompts),
        st.tuples(st.just("play"), st.just(SpokenPrompt("", b""))),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=10,
)
some_marks = st.frozensets(st.integers(1, 30), max_size=12)


@settings(max_examples=120, deadline=None)
@given(courses, st.integers(0, 12), some_marks, some_marks)
def test_whatever_happens(
    course: list[tuple], lag: int, lost: frozenset[int], early: frozenset[int]
) -> None:
    """What is sent stays within ahead (Line.step asserts it), what was heard stays heard.

    Every prompt is reported once, as its own text or a beginning of it.
    """
    line = Line(lag=lag * 160, lost=lost, early=early)
    playing: list[str] = []
    previous = 0
    for action, value in course:
        if action == "play":
            line.playout.enqueue(value)
            playing.append(value.text)
        elif action == "clear":
            done = [report.text for report in line.heard]
            line.heard.clear()
            report = line.clear()
            left = playing[len(done) :]
            assert done == playing[: len(done)]
            assert (report is None) == (not left)
            assert report is None or " ".join(filter(None, left)).startswith(report.text)
            playing.clear()
        text = line.playout.heard_until(line.now)
        for _ in range(value if action == "wait" else 1):
            reported = len(line.heard)
            line.step()
            heard = line.playout.heard_samples(line.now)
            assert heard >= previous
            previous = heard
            longer = line.playout.heard_until(line.now)
            assert len(line.heard) > reported or longer.startswith(text)
            text = longer
    longest = sum(len(p.spoken.mulaw) for p in line.playout._prompts)
    line.until(line.now + longest + 3 * MARK_GRACE_SAMPLES)
    assert [report.text for report in line.heard] == playing
    assert [report.at for report in line.heard] == sorted(report.at for report in line.heard)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("due")),
            st.tuples(st.just("sent"), st.integers(0, 9)),
            st.tuples(st.just("returned"), st.integers(0, 9), st.booleans()),
            st.tuples(st.just("play"), prompts),
            st.tuples(st.just("clear")),
            st.tuples(st.just("reference"), st.integers(-9000, 9000), st.integers(0, 3000)),
        ),
        max_size=40,
    ),
    st.lists(st.integers(-3000, 9000), min_size=40, max_size=40),
)
def test_no_order_of_calls_and_no_jump_of_the_clock_raises(
    script: list[tuple], jumps: list[int]
) -> None:
    playout, now, labels = Playout(AHEAD, MESSAGE), 0, ["?"]
    for action, jump in zip(script, jumps, strict=False):
        now += jump
        match action:
            case ("due",):
                labels += [i.label for i in playout.due(now) if isinstance(i, SendMark)]
            case ("sent", n):
                playout.mark_sent(f"mark-{n}", labels[n % len(labels)])
            case ("returned", n, was_cleared):
                playout.mark_returned(f"mark-{n}", was_cleared, now)
            case ("play", spoken):
                playout.enqueue(spoken)
            case ("clear",):
                playout.clear(now)
            case ("reference", offset, length):
                assert len(playout.reference(now + offset, now + offset + length)) == length
        due_at = playout.next_due(now)
        assert due_at is None or due_at >= now
        playout.is_audible(now)
        playout.heard_until(now)
