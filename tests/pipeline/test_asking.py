"""Messages, slow services and language models on a live call, in virtual time."""

import json
from pathlib import Path

import pytest
from virtual_time import run

from pipeline.bench import Script, call
from voicebot.errors import ServiceFailed
from voicebot.events import (
    AskModel,
    CallerHungUp,
    Disconnect,
    MessageTaken,
    Note,
    PromptHeard,
    ServiceReply,
    TakeMessage,
)
from voicebot.pipeline.message import MessageRecorder

pytestmark = pytest.mark.pipeline

VOICEMAIL = """\
forms:
  leave:
    enter:
      - say: Please speak after the tone.
        voicemail: {silence: 2s, max: 6s, min: 500ms, terminator: "9"}
        assign: [file, seconds]
        error: {say: I heard nothing., disconnect: no_message}
      - {say: Thank you., disconnect: {outcome: message_left, goal: true}}
"""


class Kept:
    def __init__(self, error: str = "") -> None:
        self.messages: dict[str, bytes] = {}
        self._error = error

    async def __call__(self, id: str, audio: bytes) -> str:
        if self._error:
            raise ServiceFailed(self._error)
        self.messages[id] = audio
        return f"{id}.wav"


def plan(tmp_path: Path, text: str) -> Path:
    (tmp_path / "plan.yaml").write_text(text)
    return tmp_path / "plan.yaml"


def test_a_message_is_kept_to_its_last_word(tmp_path: Path) -> None:
    keep = Kept()
    done = run(call(plan(tmp_path, VOICEMAIL), Script(("please call me", None)), keep=keep))
    assert done.decision == Disconnect("message_left", is_goal=True)
    (taken,) = done.of(MessageTaken)
    assert (taken.ended_by, taken.file, taken.error) == ("silence", "message-1.wav", None)
    # The tone of the script lasts 0.7 s; before it the caller waits a little.
    assert 0.6 <= taken.seconds <= 3.0
    audio = keep.messages["message-1"]
    assert len(audio) <= (taken.seconds + 0.5) * 8000
    assert done.of(PromptHeard)[-1].text == "Thank you."


def recorder(at: int = 8000) -> MessageRecorder:
    return MessageRecorder(TakeMessage("m", max_ms=3000, silence_ms=1000, terminator="#"), at)


def test_a_message_ends_by_key_silence_or_limit() -> None:
    by_key, by_silence, by_limit = recorder(), recorder(), recorder()
    by_key.key("5")
    assert by_key.ended_by is None
    by_key.key("#")
    assert by_key.ended_by == "key"
    by_silence.heard(12_000, 0.9)
    by_silence.heard(19_999, 0.1)
    assert by_silence.ended_by is None
    by_silence.heard(20_000, 0.1)
    assert by_silence.ended_by == "silence"
    by_limit.audio(7920, b"x" * (80 + 24_000))  # what came before the tone does not count
    by_limit.heard(30_000, 0.9)
    assert by_limit.ended_by == "max"


async def test_a_message_is_as_long_as_the_caller_spoke() -> None:
    keep, message = Kept(), recorder()
    message.audio(8000, b"a" * 16_000)
    message.heard(7000, 0.9)  # before the tone
    assert (await message.taken("key", keep)).seconds == 0.0
    message.heard(16_000, 0.9)
    assert await message.taken("key", keep) == MessageTaken("m", 1.0, "m.wav", "key")
    assert len(keep.messages["m"]) == 8000 + 4000  # and half a second


def test_nothing_said_is_no_message(tmp_path: Path) -> None:
    done = run(call(plan(tmp_path, VOICEMAIL), Script(), keep=Kept(), patience_s=30))
    assert done.decision == Disconnect("no_message")
    assert done.of(MessageTaken)[0].seconds == 0.0


@pytest.mark.parametrize("keep", [None, Kept("message: disk full")])
def test_a_message_that_cannot_be_kept_is_an_error(tmp_path: Path, keep: Kept | None) -> None:
    done = run(call(plan(tmp_path, VOICEMAIL), Script(("please call me", None)), keep=keep))
    assert done.decision == Disconnect("no_message")
    assert done.of(MessageTaken)[0].error in {"messages are not kept here", "message: disk full"}


def test_who_hangs_up_has_left_his_message(tmp_path: Path) -> None:
    keep = Kept()
    script = Script(("please call me", None))
    done = run(call(plan(tmp_path, VOICEMAIL), script, keep=keep, lose_at_s=5.0))
    assert isinstance(done.decision, CallerHungUp)
    assert done.of(MessageTaken)[0].ended_by == "hangup"
    assert (done.machine.outcome, done.machine.is_goal) == ("message_left", True)
    assert keep.messages


SLOW = """\
services: {slow: {webhook: "https://example.org", filler: One moment., filler_after: 500ms}}
forms:
  main: {enter: [{call: slow, assign: x}, {say: "It is {{ x }}.", disconnect: told}]}
"""


@pytest.mark.parametrize(("service_s", "filler"), [(0.2, []), (3.0, ["One moment."])])
def test_a_filler_is_heard_where_a_service_takes_its_time(
    tmp_path: Path, service_s: float, filler: list[str]
) -> None:
    replies = {"slow": {"x": "1"}}
    done = run(call(plan(tmp_path, SLOW), Script(), replies=replies, service_s=service_s))
    assert [heard.text for heard in done.of(PromptHeard)] == [*filler, "It is 1."]
    assert len(done.of(ServiceReply)) == 1


MODEL = """\
forms:
  ask:
    prompt: What would you like to know?
    llm: {instructions: Be kind., else: {say: I do not know., disconnect: not_known}}
    filled: {disconnect: {outcome: answered, goal: true}}
"""


def test_a_language_model_answers(tmp_path: Path) -> None:
    asked: list[AskModel] = []

    async def ask(question: AskModel) -> str:
        asked.append(question)
        return json.dumps({"say": "We open at nine.", "done": True})

    done = run(call(plan(tmp_path, MODEL), Script(("when do you open", None)), ask=ask))
    assert done.decision == Disconnect("answered", is_goal=True)
    assert done.of(PromptHeard)[-1].text == "We open at nine."
    assert asked[0].messages[0].text == "when do you open"


async def fails(question: AskModel) -> str:
    raise ServiceFailed("language model: TimeoutError")


async def hangs(question: AskModel) -> str:
    import asyncio

    await asyncio.sleep(1000)
    return ""


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (None, "no language model is configured"),
        (fails, "language model: TimeoutError"),
        (hangs, "no reply in 8 s"),
    ],
)
def test_without_a_language_model_the_plan_knows_what_to_do(
    tmp_path: Path, ask: object, problem: str
) -> None:
    script = Script(("when do you open", None))
    done = run(call(plan(tmp_path, MODEL), script, ask=ask))  # type: ignore[arg-type]
    assert done.decision == Disconnect("not_known")
    assert Note("model failed", {"problem": problem}) in done.of(Note)
