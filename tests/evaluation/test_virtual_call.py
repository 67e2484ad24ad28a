"""One call in virtual time: what was sent is heard, echo comes back, the listener decides."""

import numpy as np
import pytest
from fakes import LoudnessVad
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.echo_path import EchoPath
from voicebot.audio.playout import Playout
from voicebot.engine.runner import Runner
from voicebot.engine.scheduler import Job
from voicebot.evaluation.virtual_call import (
    NETWORK_MS,
    BotTurn,
    Telephone,
    VirtualCall,
    VirtualCalls,
)
from voicebot.events import (
    BargeIn,
    BargeInCandidate,
    BargeInRejected,
    CallerTurn,
    Completeness,
    Expectation,
    Hypothesis,
    NoInput,
    PhraseEnd,
    PromptEnded,
    PromptHeard,
    SpokenPrompt,
    Word,
)
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.listener import Listener
from voicebot.turns.vad import SpeechDetector

pytestmark = pytest.mark.unit

RATE = 8000
ROUND_TRIP = 2 * NETWORK_MS * 8
TEXT = "one two three four"


def sound(seconds: float, level: float = 0.2, seed: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(int(seconds * RATE)) * level).astype(np.float32)


def prompt(seconds: float = 4.0) -> SpokenPrompt:
    """Four words of the same length, noise at -20 dBFS."""
    samples = (sound(seconds, 0.1, seed=2) * 32767).clip(-32768, 32767).astype(np.int16)
    stops = [index for index, char in enumerate(TEXT + " ") if char == " "]
    ends = [PhraseEnd((i + 1) * len(samples) // 4, stop) for i, stop in enumerate(stops)]
    return SpokenPrompt(TEXT, mulaw.encode(samples), tuple(ends))


def caller(seconds: float, *spoken: tuple[float, float]) -> NDArray[np.float32]:
    """Silence, and noise in each (from, to) second."""
    track = np.zeros(int(seconds * RATE), np.float32)
    for begin, end in spoken:
        track[int(begin * RATE) : int(end * RATE)] = sound(end - begin)
    return track


def listener(playout: Playout) -> Listener:
    return Listener(
        completeness=lambda text, _: Completeness.COMPLETE if text else Completeness.NONE,
        detector=SpeechDetector(),
        endpointer=Endpointer(),
        barge_in=BargeInPolicy(),
        bot_text=playout.speaking,
    )


def runner(slots: int = 1) -> Runner:
    return Runner(slots, LoudnessVad(), None)


class Says:
    """A recogniser that hears `text` in everything; `jobs` is what it was asked."""

    def __init__(self, text: str) -> None:
        self.text, self.jobs = text, list[Job]()

    def recognise(self, jobs):  # type: ignore[no-untyped-def]
        self.jobs += jobs
        words = tuple(Word(word, 0.9) for word in self.text.split())
        return [Hypothesis(self.text, words, 0.9) for _ in jobs]


def play(
    track: NDArray[np.float32],
    turns: list[BotTurn],
    *,
    says: str = "",
    path: EchoPath | None = None,
    jitter_ms: float = 0.0,
) -> VirtualCall:
    voice = sound(2, 0.1) if path else None
    telephone = Telephone(track, path=path, voice=voice, mark_jitter_ms=jitter_ms)
    call = VirtualCall(listener, telephone, turns)
    VirtualCalls(runner(), [call], recognise=Says(says).recognise).run(len(track))
    return call


def events(call: VirtualCall, kind: type) -> list[object]:
    return [note.event for note in call.notes if isinstance(note.event, kind)]


def times(call: VirtualCall, kind: type) -> list[int]:
    return [note.now for note in call.notes if isinstance(note.event, kind)]


def test_a_prompt_is_heard_whole_one_round_trip_after_it_is_sent() -> None:
    said = prompt()
    call = play(caller(8), [BotTurn(800, (said,))])
    heard = call.telephone.heard
    begin = call.telephone.bot_began()
    assert begin is not None
    assert 800 + ROUND_TRIP <= begin <= 800 + ROUND_TRIP + 160
    assert said.mulaw in heard
    assert call.telephone.bot_seconds == pytest.approx(4.0, abs=0.01)
    assert [e.text for e in events(call, PromptHeard)] == [TEXT]  # type: ignore[attr-defined]
    (ended,) = times(call, PromptEnded)
    assert begin + len(said.mulaw) <= ended <= begin + len(said.mulaw) + 800


def test_the_reference_is_what_is_heard_one_round_trip_later() -> None:
    call = play(caller(8), [BotTurn(800, (prompt(),))], jitter_ms=200)
    reference = call.playout.reference(0, 8 * RATE - ROUND_TRIP)
    assert reference == call.telephone.heard_in(ROUND_TRIP, 8 * RATE), "however late marks are"


def test_the_record_is_what_is_heard_once_a_mark_returned() -> None:
    call = play(caller(8), [BotTurn(800, (prompt(),))])
    begin, end = 2 * RATE, 5 * RATE
    recorded = call.playout.audio_heard(begin, end)
    heard = call.telephone.heard_in(begin, end)
    shifts = [
        shift
        for shift in range(-40, 41)
        if recorded[100 : RATE * 2] == heard[100 + shift : RATE * 2 + shift]
    ]
    assert len(shifts) == 1, "within 5 ms of what was heard"


def test_silence_after_the_prompt_is_noticed() -> None:
    turns = [BotTurn(800, (prompt(),), Expectation())]
    call = play(caller(12.5), turns)
    assert len(events(call, NoInput)) == 1


def test_a_caller_who_interrupts_gets_the_floor() -> None:
    turns = [BotTurn(800, (prompt(),)), BotTurn(7 * RATE, (prompt(2.0),))]
    call = play(caller(12, (2.0, 3.5)), turns, says="I want an account")
    onset = 2 * RATE
    candidate, *_ = times(call, BargeInCandidate)
    assert onset < candidate < onset + RATE // 4
    (committed,) = times(call, BargeIn)
    assert candidate < committed < onset + 2 * RATE
    silent = call.telephone.heard_in(candidate + ROUND_TRIP + 160, 7 * RATE)
    assert silent == mulaw.SILENCE * len(silent)
    (turn,) = events(call, CallerTurn)
    assert turn.hypothesis.text == "I want an account"  # type: ignore[attr-defined]
    assert call.telephone.is_bot_heard(7 * RATE + 2000, 8 * RATE), "the next turn is said"


def test_a_noise_pauses_the_prompt_which_then_goes_on() -> None:
    call = play(caller(12, (2.0, 2.2)), [BotTurn(800, (prompt(),))], says="")
    assert len(events(call, BargeInCandidate)) == 1
    (rejected,) = times(call, BargeInRejected)
    assert not events(call, BargeIn)
    assert call.telephone.is_bot_heard(rejected + ROUND_TRIP + 320, rejected + RATE)
    (ended,) = times(call, PromptEnded)
    assert ended > rejected
    assert prompt().mulaw[-RATE:] in call.telephone.heard


def test_an_echo_interrupts_the_bot_where_nothing_cancels_it() -> None:
    turns = [BotTurn(800, (prompt(),))]
    path = EchoPath(erl_db=6, delay_ms=100)
    assert events(play(caller(6), turns, path=path), BargeInCandidate)
    assert not events(play(caller(6), turns), BargeInCandidate)


def test_the_echo_is_of_what_is_heard_and_ends_with_it() -> None:
    path = EchoPath(erl_db=6, delay_ms=300, rt60_s=0.1)
    call = play(caller(8), [BotTurn(800, (prompt(2.0),), Expectation())], path=path)
    echo = call.telephone.echo
    began = call.telephone.bot_began()
    assert began is not None
    assert not np.any(np.abs(echo[: began + 2400]) > 1e-4)
    assert np.abs(echo[began + 2400 : began + 2800]).max() > 0.01
    last = len(call.telephone.heard.rstrip(mulaw.SILENCE)) + 2400 + 800
    assert np.abs(echo[last + 400 :]).max() < 1e-3
    sent = mulaw.decode(bytes(call.telephone.sent)) / 32768
    np.testing.assert_allclose(sent, echo[: len(sent)], atol=0.02)


def test_requests_are_answered_after_a_while_and_in_batches_of_a_kind() -> None:
    asked = Says("a long story")
    calls = [
        VirtualCall(listener, Telephone(caller(6, (2.0, 3.0))), [BotTurn(800, (prompt(1.0),))])
        for _ in range(3)
    ]
    VirtualCalls(runner(3), calls, recognise=asked.recognise).run(6 * RATE)
    assert {job.slot for job in asked.jobs} == {0, 1, 2}
    assert all(0 <= job.start_at < job.end_at <= 6 * RATE for job in asked.jobs)
    assert [len(events(call, CallerTurn)) for call in calls] == [1, 1, 1]


def test_calls_of_one_batch_do_not_disturb_each_other() -> None:
    def notes(tracks: list[NDArray[np.float32]]) -> list[list[str]]:
        calls = [VirtualCall(listener, Telephone(t), [BotTurn(800, (prompt(),))]) for t in tracks]
        VirtualCalls(runner(len(calls)), calls, recognise=Says("yes").recognise).run(6 * RATE)
        return [[repr(note) for note in call.notes] for call in calls]

    loud, quiet = caller(6, (2.0, 3.0)), caller(6)
    both = notes([loud, quiet])
    assert both == [*notes([loud]), *notes([quiet])]


def test_late_marks_change_nothing_that_is_heard() -> None:
    call = play(caller(8), [BotTurn(800, (prompt(),))], jitter_ms=20.0)
    assert prompt().mulaw in call.telephone.heard
    assert len(events(call, PromptEnded)) == 1


def test_a_dialogue_may_answer_what_it_hears() -> None:
    said: list[str] = []

    def react(call: VirtualCall, event: object, now: int) -> None:
        if isinstance(event, CallerTurn):
            said.append(event.hypothesis.text)
            call.say([prompt(1.0)], Expectation(), now)

    telephone = Telephone(caller(10, (2.0, 3.0)))
    call = VirtualCall(listener, telephone, [BotTurn(800, (prompt(1.0),))], react=react)
    VirtualCalls(runner(), [call], recognise=Says("yes").recognise).run(10 * RATE)
    assert said == ["yes"]
    assert telephone.bot_seconds == pytest.approx(2.0, abs=0.1)


def test_keys_reach_the_listener() -> None:
    call = VirtualCall(listener, Telephone(caller(2)))
    call.key("5", 800)
    assert [note.event.key for note in call.notes] == ["5"]  # type: ignore[attr-defined]


def test_an_echo_needs_a_voice_to_be_set_by() -> None:
    with pytest.raises(ValueError, match="voice"):
        Telephone(caller(1), path=EchoPath(erl_db=6, delay_ms=100))


def marks_of(telephone: Telephone, count: int) -> list[int]:
    """When marks come back that were sent one a tenth of a second, each behind its audio."""
    for n in range(count):
        telephone.send("media", b"\x10" * 800, 800 * n)
        telephone.send("mark", str(n), 800 * n)
    came = [telephone.step(at) for at in range(0, 800 * count + 8000, 160)]
    return [at for _, marks in came for at, _, _ in marks]


def test_marks_may_come_late_or_never() -> None:
    tracks = [caller(4)] * 3
    punctual, late, lossy = (
        marks_of(Telephone(track, marks_late_ms=ms, marks_lost=lost), 20)
        for track, ms, lost in zip(tracks, (0, 100, 0), (0.0, 0.0, 0.5), strict=True)
    )
    assert [at - 800 for at in late] == punctual
    assert 3 < len(lossy) < 17
    assert marks_of(Telephone(caller(4), marks_lost=1.0), 20) == []


def test_what_is_sent_may_arrive_late_but_in_order() -> None:
    """Each tenth of a second of sound waits for the one before it, so lateness adds up to gaps."""
    telephone = Telephone(caller(4), media_jitter_ms=60)
    assert len(marks_of(telephone, 20)) == 20
    heard = telephone.heard[ROUND_TRIP:]
    assert heard.count(b"\x10") == 20 * 800
    assert heard.rstrip(b"\xff").rindex(b"\x10") > 20 * 800 + 160
