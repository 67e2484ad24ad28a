"""When the scripted caller speaks, and how it times the bot; virtual time throughout."""

from collections.abc import Callable

import pytest

from voicebot.errors import UserMistake
from voicebot.telephony.call_events import (
    BotSpeaks,
    BotStops,
    CallerSpeaks,
    CallerStops,
    CallEvent,
    Cleared,
    KeySent,
)
from voicebot.telephony.playback import Playback
from voicebot.telephony.scripted_caller import CHUNK_S, CallerTurn, ScriptedCaller, Step

pytestmark = pytest.mark.unit

VOICE = b"\x10"


def speech(seconds: float, before_s: float = 0.0, after_s: float = 0.0) -> bytes:
    """Loud sound with silence around it."""
    counts = [round(part * 8000) for part in (before_s, seconds, after_s)]
    return b"\xff" * counts[0] + VOICE * counts[1] + b"\xff" * counts[2]


def say(seconds: float) -> Callable[[Playback, float], object]:
    return lambda line, now_s: line.put(VOICE * round(seconds * 8000), now_s)


def clear(line: Playback, now_s: float) -> object:
    return line.clear(now_s)


Script = dict[float, Callable[[Playback, float], object]]


def converse(caller: ScriptedCaller, bot: Script, until_s: float = 60.0) -> list[Step]:
    """Plays the call in virtual time; the bot acts at fixed times. Ends when the caller does."""
    line, steps, plan = Playback(), [], sorted(bot.items())
    while caller.now_s < until_s and not (steps and steps[-1].hangs_up):
        end_s = caller.now_s + CHUNK_S
        while plan and plan[0][0] < end_s:
            at_s, act = plan.pop(0)
            act(line, at_s)
        line.advance(end_s)
        steps.append(caller.step(line))
    return steps


def approx(value: float) -> object:
    """Within the chunk in which it is decided."""
    return pytest.approx(value, abs=CHUNK_S + 1e-6)


def test_speaks_when_the_bot_has_finished() -> None:
    caller = ScriptedCaller([CallerTurn(speech(0.4, 0.2, 0.5), label="order")])
    steps = converse(caller, {0.1: say(1.0), 3.0: say(0.5)})
    [turn] = caller.records
    assert turn.label == "order"
    assert turn.started_s == approx(1.1 + 0.7)
    assert turn.speech_onset_s == approx(2.0)
    assert turn.speech_end_s == approx(2.4)
    assert turn.bot_prompt_before_s == (pytest.approx(0.1), pytest.approx(1.1))
    assert turn.response_ms == pytest.approx((3.0 - turn.speech_end_s) * 1000)
    assert turn.barge_in_ms is None
    assert turn.cut_in_s is None
    spoken = b"".join(step.chunk for step in steps)
    onset = round(turn.speech_onset_s * 8000)
    assert spoken[onset : onset + 3200] == VOICE * 3200
    assert spoken[:onset].strip(b"\xff") == spoken[onset + 3200 :].strip(b"\xff") == b""


def test_gaps_in_the_bots_speech_are_not_its_end() -> None:
    """The server sends at most 400 ms ahead: an underrun or a pause between phrases."""
    caller = ScriptedCaller([CallerTurn(speech(0.4))])
    converse(caller, {0.1: say(0.4), 0.6: say(0.4), 1.6: say(0.4), 2.65: say(0.4)}, until_s=4)
    assert caller.records[0].started_s == approx(3.05 + 0.7)
    assert caller.records[0].bot_prompt_before_s == (0.1, approx(3.05))


def test_waits_for_an_answer_before_the_next_turn() -> None:
    turns = [CallerTurn(speech(0.4), label="one"), CallerTurn(speech(0.4), label="two")]
    caller = ScriptedCaller(turns)
    converse(caller, {0.0: say(0.3), 6.0: say(0.3)}, until_s=20)
    first, second = caller.records
    assert first.started_s == approx(1.0)
    assert first.response_ms == pytest.approx((6.0 - first.speech_end_s) * 1000)
    assert second.started_s == approx(7.0)
    assert second.response_ms is None
    assert second.bot_prompt_before_s == (pytest.approx(6.0), pytest.approx(6.3))


def test_the_files_own_silence_does_not_delay_the_measured_answer() -> None:
    caller = ScriptedCaller([CallerTurn(speech(0.4, after_s=3.0)), CallerTurn(speech(0.1))])
    converse(caller, {0.0: say(0.3), 1.9: say(0.3)}, until_s=6)
    first, second = caller.records
    assert first.response_ms == approx_ms(1900 - 1400)
    assert second.started_s == approx(1.0 + 3.4)


def approx_ms(value: float) -> object:
    return pytest.approx(value, abs=CHUNK_S * 1000 + 1e-3)


def test_speaks_over_the_prompt_and_times_the_clear() -> None:
    caller = ScriptedCaller([CallerTurn(speech(0.5, 0.1), over_s=1.0)])
    bot: Script = {0.5: say(5.0), 1.9: clear, 2.8: say(0.5)}
    converse(caller, bot, until_s=5)
    [turn] = caller.records
    assert turn.started_s == approx(1.5)
    assert turn.was_over_prompt
    assert turn.barge_in_ms == pytest.approx((1.9 - turn.speech_onset_s) * 1000)
    assert turn.response_ms == pytest.approx((2.8 - turn.speech_end_s) * 1000)
    assert turn.bot_prompt_before_s == (0.5, pytest.approx(1.9))


def test_a_prompt_that_ends_first_is_answered_as_usual() -> None:
    caller = ScriptedCaller([CallerTurn(speech(0.5), over_s=9.0)])
    converse(caller, {0.5: say(1.0)}, until_s=5)
    [turn] = caller.records
    assert turn.started_s == approx(1.5 + 0.7)
    assert not turn.was_over_prompt


def test_after_a_cut_prompt_the_caller_waits_for_the_answer() -> None:
    """What was still heard after the turn's end is not its answer."""
    turns = [CallerTurn(speech(0.1), over_s=0.5), CallerTurn(speech(0.1))]
    caller = ScriptedCaller(turns)
    converse(caller, {0.0: say(5.0), 1.0: clear, 4.0: say(0.2)}, until_s=8)
    assert [turn.started_s for turn in caller.records] == [approx(0.5), approx(4.9)]
    assert caller.records[0].response_ms == approx_ms(3400)


def test_two_remarks_into_a_prompt_that_goes_on() -> None:
    """Backchannels: the bot talks on; the rest of the prompt answers nobody."""
    turns = [CallerTurn(speech(0.2), over_s=1.0), CallerTurn(speech(0.2), over_s=3.0)]
    caller = ScriptedCaller(turns)
    converse(caller, {0.0: say(5.0)}, until_s=9)
    assert [turn.started_s for turn in caller.records] == [approx(1.0), approx(3.0)]
    for turn in caller.records:
        assert turn.was_over_prompt
        assert turn.response_ms is None
        assert turn.barge_in_ms is None


def test_a_second_interruption_waits_for_the_second_prompt() -> None:
    turns = [CallerTurn(speech(0.2), over_s=1.0), CallerTurn(speech(0.2), over_s=1.0)]
    caller = ScriptedCaller(turns)
    bot: Script = {0.0: say(5.0), 1.6: clear, 2.5: say(5.0), 3.8: clear}
    converse(caller, bot, until_s=6)
    assert [turn.started_s for turn in caller.records] == [approx(1.0), approx(3.5)]
    assert [turn.barge_in_ms for turn in caller.records] == [approx_ms(600), approx_ms(300)]


def test_a_prompt_that_ends_under_the_caller_leaves_time_for_an_answer() -> None:
    turns = [CallerTurn(speech(0.3), over_s=0.8), CallerTurn(speech(0.1))]
    caller = ScriptedCaller(turns)
    converse(caller, {0.0: say(1.3), 3.0: say(0.2)}, until_s=6)
    first, second = caller.records
    assert first.response_ms == approx_ms(1900)
    assert second.started_s == approx(3.9)


def test_a_bot_that_cuts_in_and_talks_on_answered_below_zero() -> None:
    caller = ScriptedCaller([CallerTurn(speech(2.0))])
    converse(caller, {0.0: say(0.3), 2.0: say(3.0)}, until_s=6)
    [turn] = caller.records
    assert turn.cut_in_s == pytest.approx(2.0)
    assert turn.response_ms == approx_ms(-1000)


def test_a_bot_that_cuts_in_and_yields_is_timed_from_its_true_answer() -> None:
    caller = ScriptedCaller([CallerTurn(speech(2.0))])
    converse(caller, {0.0: say(0.3), 2.9: say(3.0), 3.2: clear, 3.6: say(1.0)}, until_s=6)
    [turn] = caller.records
    assert turn.cut_in_s == pytest.approx(2.9)
    assert turn.response_ms == approx_ms(600)
    assert turn.barge_in_ms is None


def test_keys_are_pressed_one_by_one() -> None:
    caller = ScriptedCaller([CallerTurn(keys="12#", label="pin")])
    steps = converse(caller, {0.0: say(0.3), 2.0: say(0.3)}, until_s=4)
    pressed = [(index * CHUNK_S, step.keys) for index, step in enumerate(steps) if step.keys]
    assert pressed == [(approx(1.0), "1"), (approx(1.24), "2"), (approx(1.48), "#")]
    [turn] = caller.records
    assert turn.keys == "12#"
    assert (turn.speech_onset_s, turn.speech_end_s) == (approx(1.0), approx(1.48))
    assert turn.response_ms == approx_ms(520)


def test_a_turn_without_speech_is_played_whole() -> None:
    caller = ScriptedCaller([CallerTurn(b"\xff" * 4000)])
    converse(caller, {0.0: say(0.3)}, until_s=4)
    [turn] = caller.records
    assert (turn.speech_onset_s, turn.speech_end_s) == (approx(1.0), approx(1.5))


@pytest.mark.parametrize(
    ("bot", "ends_s"),
    [({}, 3.0), ({1.0: say(0.5)}, 4.5), ({1.0: say(0.5), 4.0: say(0.5)}, 7.5)],
)
def test_a_silent_caller_ends_by_patience(bot: Script, ends_s: float) -> None:
    caller = ScriptedCaller(patience_s=3.0)
    steps = converse(caller, bot)
    assert steps[-1].hangs_up
    assert caller.now_s == approx(ends_s)


@pytest.mark.parametrize("turns", [[], [CallerTurn(speech(0.5))] * 3])
def test_a_bot_that_falls_silent_for_good_ends_by_patience(turns: list[CallerTurn]) -> None:
    caller = ScriptedCaller([CallerTurn(speech(0.5, after_s=0.5)), *turns], patience_s=2.0)
    assert converse(caller, {0.0: say(0.3)})[-1].hangs_up
    assert len(caller.records) == 1
    assert caller.now_s == approx(1.0 + 1.0 + 2.0)


def test_hangs_up_after_the_answer_to_the_last_turn() -> None:
    caller = ScriptedCaller([CallerTurn(speech(0.5))], hangs_up_after_last=True)
    assert converse(caller, {0.0: say(0.3), 2.0: say(0.3)})[-1].hangs_up
    assert caller.now_s == approx(2.3 + 0.7)


def test_hangs_up_when_told_even_while_speaking() -> None:
    caller = ScriptedCaller([CallerTurn(speech(5.0))])
    bot: Script = {0.0: say(0.3), 2.0: lambda line, now_s: caller.hang_up()}
    assert converse(caller, bot)[-1].hangs_up
    assert caller.now_s == approx(2.0)


def test_events_tell_the_call_as_it_goes() -> None:
    caller = ScriptedCaller(
        [CallerTurn(speech(0.4), label="a", over_s=0.5), CallerTurn(keys="1", label="b")]
    )
    seen: list[CallEvent] = []
    line = Playback()
    plan: list[tuple[float, Callable[[Playback, float], object]]] = [
        (0.1, say(3.0)), (0.9, clear), (1.5, say(0.5)), (4.0, say(0.5))
    ]  # fmt: skip
    while caller.now_s < 5.0:
        if plan and plan[0][0] < caller.now_s + CHUNK_S:
            at_s, act = plan.pop(0)
            act(line, at_s)
        line.advance(caller.now_s + CHUNK_S)
        caller.step(line)
        seen += caller.take_events()
    first, second = caller.records
    assert first.response_ms is not None
    assert seen == [
        BotSpeaks(0.1),
        CallerSpeaks(first.speech_onset_s, "a"),
        Cleared(0.9, first.barge_in_ms),
        BotStops(0.9, was_cleared=True),
        CallerStops(first.speech_end_s, "a"),
        BotSpeaks(1.5, first.response_ms, "a"),
        BotStops(2.0),
        KeySent(second.started_s, "1"),
        BotSpeaks(4.0, second.response_ms, "b"),
        BotStops(4.5),
    ]
    assert caller.take_events() == []


@pytest.mark.parametrize(
    "turn", [{}, {"audio": b"\x10", "keys": "1"}, {"keys": "12 3"}, {"keys": "1a"}]
)
def test_turns_that_make_no_sense(turn: dict[str, object]) -> None:
    with pytest.raises(UserMistake, match="caller turn"):
        CallerTurn(**turn)  # type: ignore[arg-type]
