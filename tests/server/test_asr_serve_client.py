"""A server's engine with replicas that vanish, fall silent, are full, or were never there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from server.replicas import (
    TOKEN,
    Caller,
    FrontEndUnderTest,
    Levels,
    eventually,
    front_end,
    make_replica,
    running,
    said,
)
from websockets.asyncio.server import ServerConnection, serve

from voicebot.config import load_settings
from voicebot.dialogue.plan import load_plan
from voicebot.engine.scheduler import JobKind
from voicebot.engine.wire import (
    PROTOCOL,
    Closed,
    Load,
    Open,
    Reason,
    State,
    encode,
    from_front_end,
)
from voicebot.errors import ModelUnavailable, SettingsError
from voicebot.events import Expectation
from voicebot.server import asr_serve_call, asr_serve_client, asr_serve_link, doctor
from voicebot.server.answering import in_process
from voicebot.server.asr_serve_use import replicas
from voicebot.server.placing import place
from voicebot.server.shipped import plan_path
from voicebot.telephony.simulator import CallerTurn

pytestmark = pytest.mark.e2e

FIRST, SECOND = said(1, 2, 3, 4), said(5, 6, 7, 8)
WORDS = "1 2 3 4 5 6 7 8"


async def both_halves(bot: FrontEndUnderTest, between=None) -> str:  # type: ignore[no-untyped-def]
    """One utterance, with something happening in the middle of a word; its final."""
    caller = Caller()
    handle = bot.engine.open_call(caller)
    cut = len(FIRST) - 480
    await bot.says(handle, caller, FIRST[:cut])
    bot.engine.recognise(handle, 1, JobKind.PARTIAL, 0, cut)
    await caller.answer()
    if between is not None:
        await between()
    await bot.says(handle, caller, FIRST[cut:] + SECOND, cut)
    expectation = Expectation("state", hints=("hint",))
    end = len(FIRST + SECOND)
    bot.engine.recognise(handle, 1, JobKind.FINAL, 0, end, expectation=expectation)
    text = await caller.answer()
    bot.engine.release(handle)
    return text


async def until(bot: FrontEndUnderTest, name: str, value: float) -> None:
    await eventually(lambda: bot.counted(name) == value)


async def test_one_replica() -> None:
    replica = make_replica()
    async with running(replica) as url, front_end(url) as bot:
        assert await bot.engine.connect()
        assert await both_halves(bot) == WORDS
        recogniser = replica.engine._runner._recogniser
        assert recogniser.expectations == [Expectation("state", hints=("hint",))]  # type: ignore[union-attr]
        assert bot.counted("fallbacks_total", to="keys") == 0
        await eventually(lambda: replica.engine.calls == 0)  # the call left there, too


async def test_calls_are_spread_and_a_second_call_on_a_slot_begins_anew() -> None:
    one, two = make_replica(), make_replica()
    async with running(one) as first, running(two) as second, front_end(first, second) as bot:
        await until(bot, "replicas", 2)
        callers = [Caller() for _ in range(4)]
        handles = [bot.engine.open_call(caller) for caller in callers]
        for word, (caller, handle) in enumerate(zip(callers, handles, strict=True), 1):
            await bot.says(handle, caller, said(word))
            bot.engine.recognise(handle, 1, JobKind.FINAL, 0, 800)
            assert await caller.answer() == str(word)
        assert (one.engine.calls, two.engine.calls) == (2, 2)
        bot.engine.release(handles[0])
        again = Caller()
        handle = bot.engine.open_call(again)
        await bot.says(handle, again, said(9))
        bot.engine.recognise(handle, 1, JobKind.FINAL, 0, 800)
        assert await again.answer() == "9"


async def test_audio_from_before_the_stream_is_sent_when_it_is_asked_for() -> None:
    async with running(make_replica()) as url, front_end(url) as bot:
        caller = Caller()
        handle = bot.engine.open_call(caller)  # nobody is connected yet
        await bot.says(handle, caller, FIRST)
        assert await bot.engine.connect()
        await eventually(lambda: bot.engine._calls[handle.slot]._is_open)
        await bot.says(handle, caller, SECOND, len(FIRST))
        bot.engine.recognise(handle, 1, JobKind.FINAL, 0, len(FIRST + SECOND))
        assert await caller.answer() == WORDS


async def test_a_replica_that_vanishes_in_the_middle_of_a_word() -> None:
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(make_replica(capacity=8)))
        dying = stack.pop_all()
        other = make_replica(capacity=2)
        async with running(other) as second, front_end(first, second) as bot:
            await until(bot, "replicas", 2)

            async def die() -> None:
                assert other.engine.calls == 0
                await dying.aclose()

            assert await both_halves(bot, die) == WORDS
            assert bot.counted("moves_total") == 1
            assert bot.counted("resume_seconds_count") == 1
            assert bot.counted("replicas") == 1
            assert bot.counted("fallback") == 0


async def test_a_replica_that_drains_hands_its_calls_over() -> None:
    one, two = make_replica(capacity=8), make_replica(capacity=2)
    async with running(one) as first, running(two) as second, front_end(first, second) as bot:
        await until(bot, "replicas", 2)
        assert await both_halves(bot, one.drain) == WORDS
        assert one.engine.calls == 0


@contextlib.asynccontextmanager
async def strange(replies: dict[type, list[bytes]]) -> AsyncIterator[str]:
    """A peer that says it has much room, then answers by `replies`, each once."""

    async def converse(connection: ServerConnection) -> None:
        await connection.send(encode(Load(1, 0, 1000, State.OPEN, 0)))
        left = {kind: list(said) for kind, said in replies.items()}
        async for data in connection:
            assert isinstance(data, bytes)
            for message in from_front_end(data):
                if left.get(type(message)):
                    await connection.send(left[type(message)].pop(0))

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as bound:
        async with serve(converse, sock=bound, subprotocols=[PROTOCOL]):  # type: ignore[list-item]
            yield f"ws://127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.parametrize(
    "replies",
    [
        {},  # hangs: no heartbeat is answered
        {Open: [b"\x00\x00"]},
        {Open: [b"\x00\x00\x00\x02\x83{}"]},
        {Open: [encode(Closed(1, Reason.FULL))]},
    ],
    ids=["silent", "half a frame", "a misshapen answer", "full"],
)
async def test_strange_replicas_are_left_for_a_good_one(replies: dict[type, list[bytes]]) -> None:
    async with (
        running(make_replica()) as good,
        strange(replies) as bad,
        front_end(bad, good) as bot,
    ):
        await until(bot, "replicas", 2)
        assert await both_halves(bot) == WORDS
        assert bot.counted("fallbacks_total", to="keys") == 0


async def test_all_lost_and_the_local_recogniser_takes_over_until_one_comes_back() -> None:
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(make_replica()))
        async with front_end(url, local=True) as bot:
            await until(bot, "replicas", 1)
            assert await both_halves(bot, stack.aclose) == f"local {WORDS}"
            assert bot.counted("fallbacks_total", to="local") == 1
            assert bot.counted("fallback") == 1
            async with running(make_replica(), port=int(url.rpartition(":")[2])):
                await until(bot, "replicas", 1)
                assert await both_halves(bot) == WORDS
                assert bot.counted("fallback") == 0


async def test_all_lost_and_nobody_here_recognises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr_serve_call, "FALLBACK_S", 0.05)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        nobody = f"ws://127.0.0.1:{taken.getsockname()[1]}"  # takes connections, says nothing
        async with front_end(nobody) as bot:
            assert await both_halves(bot) == ""  # the plan's nomatch follows
            assert bot.counted("fallbacks_total", to="keys") == 2


class Stuck(Levels):
    """Takes calls, says that it is well, and recognises nothing until the test is over."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = threading.Event()

    def transcribe(self, batch, **options):  # type: ignore[no-untyped-def]
        self.is_over.wait(60)
        return super().transcribe(batch, **options)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("local", [True, False])
async def test_replicas_that_are_always_late_are_not_asked_for_ever(
    monkeypatch: pytest.MonkeyPatch, count: int, local: bool
) -> None:
    """Each takes the call again before anybody notices that there is none: it would be asked
    here and there until the caller has gone."""
    monkeypatch.setattr(asr_serve_call, "ANSWER_S", 0.1)
    monkeypatch.setattr(asr_serve_link, "FULL_S", 0.05)
    monkeypatch.setattr(asr_serve_client, "LOOK_S", 0.02)
    recogniser = Stuck()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(recogniser.is_over.set)
        late = [make_replica(recogniser=recogniser) for _ in range(count)]
        urls = [await stack.enter_async_context(running(replica)) for replica in late]
        stack.callback(recogniser.is_over.set)  # the first to be undone: replicas end in time
        bot = await stack.enter_async_context(front_end(*urls, local=local))
        assert await bot.engine.connect()
        await eventually(lambda: all(link.is_connected for link in bot.engine._links))
        caller = Caller()
        handle = bot.engine.open_call(caller)
        await bot.says(handle, caller, FIRST)
        bot.engine.recognise(handle, 1, JobKind.FINAL, 0, len(FIRST))
        await eventually(lambda: caller.answers)
        heard = caller.answers[0].hypothesis
        assert heard is not None
        assert heard.text == ("local 1 2 3 4" if local else "")
        assert heard.is_unheard is not local
        assert bot.counted("fallbacks_total", to="local" if local else "keys") == 1
        assert bot.counted("moves_total") == asr_serve_call.MOST_LATE
        assert bot.counted("replicas") == count  # nobody was lost
        # The next request is asked again of whoever has room.
        monkeypatch.setattr(asr_serve_call, "ANSWER_S", 30.0)
        bot.engine.recognise(handle, 2, JobKind.FINAL, 0, len(FIRST))
        recogniser.is_over.set()
        await eventually(lambda: len(caller.answers) == 2)
        again = caller.answers[1].hypothesis
        assert again is not None
        assert again.text == "1 2 3 4"


async def test_a_wrong_token_is_no_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr_serve_call, "FALLBACK_S", 0.05)
    async with running(make_replica(token="another")) as url, front_end(url, local=True) as bot:
        assert await both_halves(bot) == f"local {WORDS}"


async def test_replicas_that_are_not_named_any_more_lose_their_calls() -> None:
    one, two = make_replica(), make_replica()
    async with running(one) as first, running(two) as second, front_end(first) as bot:
        await until(bot, "replicas", 1)

        async def move() -> None:
            bot.engine.set_urls([second])

        assert await both_halves(bot, move) == WORDS
        assert one.engine.calls == 0


# ---------------------------------------------------------------- settings, and a whole call


def test_what_names_no_replica(tmp_path: Path) -> None:
    known = tmp_path / "replicas"
    known.write_text("ws://10.0.0.5:8090/\n\nwss://asr.example.com\n")
    assert replicas(f"file:{known}") == ["ws://10.0.0.5:8090", "wss://asr.example.com"]
    assert replicas(" ws://a:1 ,ws://a:1,") == ["ws://a:1"]
    for wrong in ("http://a:1", "ws://", "ws://a:99999", "10.0.0.5:8090", ",", "ws://a b:1",
                  f"file:{tmp_path / 'gone'}", f"file:{tmp_path}"):  # fmt: skip
        with pytest.raises(SettingsError, match=r"^settings: recogniser\.url: [^\n]+$"):
            replicas(wrong)


async def test_a_wrong_url_is_told_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*_: object) -> None:
        raise AssertionError("a recogniser was loaded")

    monkeypatch.setattr("voicebot.server.answering._load_recogniser", unwanted)
    settings = load_settings(
        _env_file=None,
        asr={"cache_dir": tmp_path},
        recogniser={"url": "http://10.0.0.5:8090"},
        store={"journal": tmp_path / "journal.sqlite"},
    )
    with pytest.raises(SettingsError, match="no address of a replica"):
        async with in_process(settings, load_plan(plan_path("barista"))):
            pass


async def test_doctor_tells_how_replicas_are() -> None:
    async with running(make_replica()) as good, running(make_replica(token="another")) as other:

        def told(url: str) -> str:
            recogniser = {"url": url, "token": TOKEN}
            return doctor._replicas(load_settings(_env_file=None, recogniser=recogniser))

        line = await asyncio.to_thread(told, f"{good},{other},ws://127.0.0.1:1")
        assert f"{good}: 4 of 4 places free; {other} refuses: HTTP status 401; " in line
        assert "ws://127.0.0.1:1 cannot be reached" in line
        with pytest.raises(ModelUnavailable, match=r"401; is `voicebot asr-serve` running there\?"):
            await asyncio.to_thread(told, other)


PLAN = """\
name: Remote
forms:
  choice:
    fields:
      sure: {type: yes_no, prompt: "Sure?"}
    filled:
      - disconnect: {outcome: answered, goal: true}
"""


async def test_a_whole_call_is_recognised_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*arguments: object) -> None:
        raise AssertionError("a recogniser was loaded")

    monkeypatch.setattr("voicebot.asr.recogniser.Recogniser.__init__", unwanted)
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    replica = make_replica()
    monkeypatch.setattr("server.replicas.levels", lambda samples: "yes")
    from voicebot.speech.telephone import to_telephone
    from voicebot.speech.voices import EspeakVoice

    spoken = to_telephone("Yes.", EspeakVoice().render("Yes.")).mulaw + b"\xff" * 800
    async with running(replica) as url:
        settings = load_settings(
            _env_file=None,
            asr={"cache_dir": tmp_path},
            recogniser={"url": url, "token": TOKEN, "fallback": "keys"},
            store={"journal": tmp_path / "journal.sqlite"},
        )
        report = await place(settings, plan=plan, turns=[CallerTurn(audio=spoken, label="yes")])
    assert report.outcome == "answered"
    assert dict(report.slots) == {"sure": "yes"}


def test_of_an_expectation_that_is_too_large_the_recogniser_gets_what_helps_it() -> None:
    from voicebot.engine.wire import read_expectation
    from voicebot.events import Choice, IntentSpec, SlotSpec, SlotType
    from voicebot.server.asr_serve_call import MAX_EXPECTATION_BYTES, fitting

    slot = SlotSpec("drink", SlotType.CHOICE, (Choice("tea", ("a tea",)),))
    many = tuple(f"sentence number {number}" for number in range(8000))
    talkative = Expectation("order", None, (slot,), (IntentSpec("buy", ("i want",), None, many),))
    kept = read_expectation(fitting(talkative) or b"")
    assert kept is not None
    assert (kept.slots, kept.intents[0].phrases, kept.intents[0].examples) == (
        (slot,), ("i want",), ()
    )  # fmt: skip
    wordy = Expectation("order", None, (slot,), (IntentSpec("buy", many),))
    kept = read_expectation(fitting(wordy) or b"")
    assert kept is not None
    assert (kept.slots, kept.intents) == ((slot,), (IntentSpec("buy"),))
    choices = tuple(Choice(name) for name in many)
    assert fitting(Expectation("order", None, (SlotSpec("x", SlotType.CHOICE, choices),))) is None
    small = Expectation("order", None, (slot,), (IntentSpec("buy", ("i want",), None, ("some",)),))
    assert read_expectation(fitting(small) or b"") == small
    assert len(fitting(talkative) or b"") <= MAX_EXPECTATION_BYTES
