"""Callers who are silent or never stop, and backends that hang, fail or answer rubbish.

A plan of few words and short patience, so that what happens after a timeout happens soon.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import pytest_asyncio
from hostile import Bot, running_bot
from websockets.exceptions import ConnectionClosed

from voicebot.audio import mulaw
from voicebot.server.placing import caller_turn
from voicebot.speech.prompts import Prompts
from voicebot.telephony.simulator import CallerTurn, ScriptedCaller

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

SERVICES = {
    "0": ("works", "return {'answer': '7'}"),
    "1": ("hangs", "threading.Event().wait()"),
    "2": ("raises", "raise RuntimeError('line 1\\nline 2')"),
    "3": ("exits", "raise SystemExit(3)"),
    "4": ("answers_a_list", "return [1, 2]"),
    "5": ("answers_nothing", "return None"),
    "6": ("answers_no_number", "return {'answer': 'rubbish \\x00 \\ud800'}"),
    "7": ("answers_bytes", "return {'answer': b'\\xff'}"),
    "8": ("answers_infinity", "return {'answer': float('inf')}"),
    "9": ("answers_itself", "answer = {}; answer['answer'] = answer; return answer"),
}
"""The key that calls it, its name, its body."""
WEBHOOKS = {
    "10": b"",  # the connection is closed
    "11": b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    "12": b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nrubbish",
    "13": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
    "14": b"rubbish\r\n\r\n",
    "15": None,  # never answered
}


def plan(folder: Path, webhook: str) -> Path:
    """One question, answered by keys; each number calls another service."""
    services = [
        f"  {name}: {{python: 'backend:{name}', timeout: 300ms}}" for name, _ in SERVICES.values()
    ]
    services += [f"  hook{key}: {{webhook: '{webhook}/{key}', timeout: 300ms}}" for key in WEBHOOKS]
    names = {key: name for key, (name, _) in SERVICES.items()} | {k: f"hook{k}" for k in WEBHOOKS}
    calls = [
        f"""\
      - when: number == '{key}'
        call: {name}
        assign: answer
        error:
          - say: Failed.
            disconnect: service_failed"""
        for key, name in names.items()
    ]
    text = f"""\
name: Short
timeouts: {{noinput: 300ms, max_speech: 1500ms}}
welcome: Hi.
noinput: ["Yes.", {{prompt: Bye., disconnect: noinput}}]
nomatch: ["What.", {{prompt: Bye., disconnect: nomatch}}]
services:
{chr(10).join(services)}
forms:
  main:
    fields:
      number:
        type: digits
        prompt: Number?
        dtmf: {{max: 2, min: 1, interdigit: 400ms}}
        confirm: never
    filled:
{chr(10).join(calls)}
      - say: "{{{{ answer | number }}}}."
        goal: answered
"""
    path = folder / "short.yaml"
    path.write_text(text)
    functions = [f"def {name}():\n    {body}\n" for name, body in SERVICES.values()]
    (folder / "backend.py").write_text("import threading\n\n\n" + "\n\n".join(functions))
    return path


class Webhooks:
    """A backend that answers each path in its own bad way."""

    async def __aenter__(self) -> Self:
        self.kept_waiting = asyncio.Event()
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1].decode()
        answer = WEBHOOKS[path.removeprefix("/")]
        if answer is None:
            self.kept_waiting.set()
            await reader.read()  # until the client has gone
        writer.write(answer or b"")
        writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend() -> AsyncIterator[Webhooks]:
    async with Webhooks() as webhooks:
        yield webhooks


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(
    tmp_path_factory: pytest.TempPathFactory, weights: Path, backend: Webhooks
) -> AsyncIterator[Bot]:
    folder = tmp_path_factory.mktemp("services")
    limits = {"idle_timeout_s": 2}
    async with running_bot(folder, weights, plan(folder, backend.url), server=limits) as bot:
        yield bot


def caller(*turns: CallerTurn, patience_s: float = 10) -> ScriptedCaller:
    return ScriptedCaller(turns, patience_s=patience_s)


async def dial(bot: Bot, keys: str) -> dict[str, Any]:
    """The journal's entry of a caller who presses keys into the greeting."""
    record = await bot.place(caller(CallerTurn(keys=keys, over_s=0.1, label=keys)))
    assert record.end_reason == "server_closed"
    return await bot.ended(record.call_sid)


async def test_a_service_that_works(bot: Bot) -> None:
    """Else the tests below would prove nothing."""
    assert (await dial(bot, "0"))["is_goal"]


BAD = [(key, name) for key, (name, _) in SERVICES.items() if key != "0"]
BAD += [(key, f"hook{key}") for key in WEBHOOKS]


async def test_services_that_fail_or_answer_rubbish(bot: Bot) -> None:
    """All at once, and a good one among them."""
    *bad, good = await asyncio.gather(*(dial(bot, key) for key, _ in BAD), dial(bot, "0"))
    assert good["is_goal"]
    outcomes = {name: record["outcome"] for (_, name), record in zip(BAD, bad, strict=True)}
    spoken = {"answers_no_number", "answers_bytes", "answers_infinity"}
    assert outcomes == {
        name: "completed" if name in spoken else "service_failed" for _, name in BAD
    }
    for record in bad:
        # Each turn is in the journal, with what went wrong in one line.
        assert len(record["turns"]) == 2, record
        (service,) = record["services"]
        if record["outcome"] == "service_failed":
            assert service["error"]
            assert "\n" not in service["error"]
    for _, name in BAD:
        outcome = "answered" if name in spoken else "failed"
        assert await bot.metric("voicebot_services_total", name=name, outcome=outcome) == 1


async def test_a_caller_who_leaves_while_a_service_hangs(bot: Bot, backend: Webhooks) -> None:
    backend.kept_waiting.clear()
    async with bot.call() as line:
        await line.greeted()
        await line.keys("15")
        await backend.kept_waiting.wait()
        record = await line.hang_up()
    assert record["outcome"] == "hung_up"


async def test_a_silent_caller(bot: Bot) -> None:
    record = await bot.place(caller())
    journal = await bot.ended(record.call_sid)
    assert journal["outcome"] == "noinput"
    assert [turn["by"] for turn in journal["turns"]] == ["", "noinput", "noinput"]


async def test_a_caller_who_sends_nothing_at_all(bot: Bot) -> None:
    """Not even silence: without chunks there is no time, until the socket's own limit."""
    async with bot.call() as line:
        await line.greeted()
        await line.socket.wait_closed()
        assert line.socket.close_reason == "idle timeout"
        assert await bot.twilio.action(line.call_sid) == "Say,Hangup"
    assert (await bot.ended(line.call_sid))["outcome"] == "hung_up"
    assert await bot.faults("idle timeout") == 1


async def test_noise_for_longer_than_any_speech(bot: Bot) -> None:
    noise = np.random.default_rng(0).normal(0, 6000, 8000 * 4).clip(-32000, 32000)
    turn = CallerTurn(audio=mulaw.encode(noise.astype(np.int16)), over_s=0.1, label="noise")
    record = await bot.place(caller(turn))
    assert record.end_reason == "server_closed"
    assert (await bot.ended(record.call_sid))["outcome"] in {"noinput", "nomatch"}


async def test_a_caller_who_never_stops(bot: Bot) -> None:
    words = " ".join(["and then I told my sister about the garden"] * 4)
    record = await bot.place(caller(caller_turn("say", words, over_s=0.1)))
    journal = await bot.ended(record.call_sid)
    assert "maxspeechtimeout" in [turn["end_reason"] for turn in journal["turns"]]


async def test_a_peer_that_returns_no_marks(bot: Bot) -> None:
    async with bot.call() as line:
        line.returns_marks = False
        await line.greeted()
        with suppress(ConnectionClosed):
            async with asyncio.timeout(10):
                while True:
                    await line.audio()
                    await asyncio.sleep(0.02)  # as a caller's line does
    assert (await bot.ended(line.call_sid))["outcome"] == "noinput"


async def test_a_recording_that_cannot_be_made(bot: Bot) -> None:
    """The caller does not pay for it."""
    (bot.folder / "calls" / "CAunkept").write_text("a file where the call's folder should be")
    async with bot.call("CAunkept") as line:
        await line.greeted()
        assert (await line.hang_up())["outcome"] == "hung_up"


async def test_a_voice_that_fails(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Prompts, parts: object) -> None:
        raise OSError("no voice")

    before = await bot.faults("call failed")
    monkeypatch.setattr(Prompts, "render", fail)
    async with bot.call() as line:
        await line.audio()
        async with asyncio.timeout(5):
            await line.socket.wait_closed()
        assert await bot.twilio.action(line.call_sid) == "Say,Hangup"
    assert (await bot.ended(line.call_sid))["outcome"] == "failed"
    assert await bot.faults("call failed") == before + 1
