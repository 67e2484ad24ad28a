"""A call that is typed instead of spoken: the plan's machine and understanding, no audio.

`voicebot chat` and text scenarios go through it. Call-outs are really made unless a stand-in
answers for them; a language model answers only what it was given to say.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from voicebot.dialogue.hours import local
from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import Plan
from voicebot.dialogue.session import Session
from voicebot.errors import ServiceFailed, VoicebotError
from voicebot.events import (
    Action,
    AskModel,
    BargeInMode,
    CallerHungUp,
    CallerTurn,
    CallService,
    CallStarted,
    DialogueEvent,
    Disconnect,
    Expectation,
    Hypothesis,
    Interpretation,
    KeysEntered,
    MessageTaken,
    ModelReply,
    NoInput,
    Note,
    Play,
    PromptHeard,
    ServiceReply,
    TakeMessage,
    Transfer,
    TurnEnded,
    TurnEndReason,
    Word,
)
from voicebot.nlu.interpreter import interpret, interpret_keys
from voicebot.server.services import Services
from voicebot.speech.verbalise import join

SURE = 0.95
WORDS_PER_S = 2.5
"""How fast people talk; what a typed message lasts."""


@dataclass(slots=True)
class Answer:
    """What came of one turn; `state` is where the dialogue waits now, None where it does not."""

    said: list[str] = field(default_factory=list)
    heard: str | None = None  # in a spoken call: what the recogniser made of it
    state: str | None = None
    slots: dict[str, str] = field(default_factory=dict)
    intent: str | None = None
    outcome: str | None = None
    is_goal: bool = False
    transfer: str | None = None
    response_ms: float | None = None
    barge_in: BargeInMode = BargeInMode.SPEECH
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(self.said)


class TypedCall:
    """One call; each method takes the caller's turn and returns what came of it."""

    def __init__(
        self,
        plan: Plan,
        services: Services,
        now: datetime,
        *,
        parameters: Mapping[str, str] | None = None,
        model: Iterable[str] = (),
        ask: Callable[[AskModel], Awaitable[str]] | None = None,
        saved: str | None = None,
    ) -> None:
        """`services` answers call-outs, `model` is what a language model says, in order; after that
        `ask` is asked, which raises VoicebotError where it fails. With what
        `save` gave, the call goes on from there; PlanError: the plan has changed since."""
        self._is_new = saved is None
        self._machine = Machine(plan, now) if saved is None else Machine.from_json(plan, now, saved)
        here = local(plan.keys, now)
        self._session = Session(
            self._machine,
            interpret=partial(interpret, today=here.date(), now=here.time()),
            interpret_keys=interpret_keys,
        )
        self._language = plan.language
        self._services = services
        self._call_sid = f"typed-{uuid.uuid4().hex}"  # of its own: backends tell calls apart by it
        self._parameters = dict(parameters or {})
        self._model = list(model)
        self._ask = ask
        self._message: TakeMessage | None = None
        self._asked = 0
        self._last = Answer()

    @property
    def expectation(self) -> Expectation | None:
        """What is waited for now."""
        return self._machine.expectation

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._machine.outcome is not None

    async def start(self) -> Answer:
        """The call is answered, or goes on with what it waited for."""
        if self._is_new:
            return await self._go_on(CallStarted(parameters=self._parameters))
        return await self._act(self._session.resume())

    def save(self) -> str:
        """The call as it stands, to go on later."""
        return self._machine.to_json()

    async def say(self, text: str, sure: float = SURE) -> Answer:
        """The caller says this, and `sure` is how sure the recogniser would be."""
        if self._message is not None:
            return await self._take_message(len(text.split()) / WORDS_PER_S, "silence")
        return await self._go_on(
            CallerTurn(
                TurnEnded(0, TurnEndReason.COMPLETE),
                Hypothesis(
                    text,
                    words=tuple(Word(word, sure) for word in text.split()),
                    confidence=sure,
                    is_final=True,
                ),
            )
        )

    async def press(self, keys: str) -> Answer:
        """The caller presses keys, as many inputs as they make: those beyond are typed ahead."""
        if self._message is not None:
            return await self._take_message(0.0, "key")
        answer, left = Answer(), keys
        while left and not self.is_over:
            waits_for = self._machine.expectation
            rule = waits_for.digits if waits_for is not None else None
            if rule is None:
                answer.notes.append(f"keys {left} are ignored here")
                break
            if left != keys and not rule.has_type_ahead:
                answer.notes.append(f"keys {left} came before the question and do not count")
                break
            ends = left.find(rule.terminator, 1) if rule.terminator else -1
            size = min(rule.max_keys, ends if ends > 0 else len(left))
            typed, left = left[:size], left[size:]
            if rule.terminator and left.startswith(rule.terminator):
                left = left[1:]
            answer = _joined(answer, await self._go_on(KeysEntered(typed, 0)))
        return self._seen(answer)

    async def stay_silent(self) -> Answer:
        """The caller says nothing until the dialogue minds."""
        if self._message is not None:
            return await self._take_message(0.0, "silence")
        return await self._go_on(NoInput(0))

    async def hang_up(self) -> Answer:
        """The caller is gone."""
        answer = Answer()
        if self._message is not None:
            answer = await self._take_message(0.0, "hangup")
        self._session.handle(CallerHungUp(0))
        return self._seen(answer)

    def cut(self, is_key: bool) -> bool:
        """The caller talks (or keys) into what is being said; False where nothing stops it."""
        mode = self._last.barge_in
        if mode is BargeInMode.NONE or (not is_key and mode is BargeInMode.DTMF):
            return False
        words = self._last.text.split()
        heard = " ".join(words[: max(1, len(words) // 3)])
        self._session.handle(PromptHeard(0, heard, was_cut=True))
        return True

    # ------------------------------------------------------------ inside

    async def _take_message(self, seconds: float, ended_by: str) -> Answer:
        message = self._message
        assert message is not None
        self._message = None
        taken = MessageTaken(message.id, seconds, "message.wav", ended_by)  # type: ignore[arg-type]
        return await self._go_on(taken)

    async def _go_on(self, event: DialogueEvent | CallerTurn | KeysEntered) -> Answer:
        return await self._act(self._session.handle(event))

    async def _act(self, actions: Sequence[Interpretation | Action]) -> Answer:
        answer, left = Answer(), list(actions)
        while left:
            action = left.pop(0)
            if isinstance(action, CallService):
                left += self._session.handle(await self._serve(action, answer))
            elif isinstance(action, AskModel):
                left += self._session.handle(await self._consult(action))
            else:
                self._note(answer, action)
        return self._seen(answer)

    def _note(self, answer: Answer, action: object) -> None:
        match action:
            case Play():
                text = join(action.parts, action.language or self._language)
                answer.said += [text] if text else []
                answer.barge_in = action.barge_in
            case Interpretation():
                answer.intent = action.intent
            case TakeMessage():
                self._message = action
            case Transfer():
                answer.transfer = action.destination or action.queue
            case Note():
                problem = action.data.get("problem")
                answer.notes.append(f"{action.kind}: {problem}" if problem else action.kind)
            case Disconnect():
                pass

    async def _serve(self, action: CallService, answer: Answer) -> ServiceReply:
        """What the service says; where it takes its time, its filler is heard meanwhile."""
        asked = asyncio.ensure_future(
            self._services.call(
                action.name, action.arguments, call_sid=self._call_sid, call_id=action.id
            )
        )
        if action.filler:
            await asyncio.wait({asked}, timeout=action.filler_after_ms / 1000)
            for play in () if asked.done() else action.filler:
                self._note(answer, play)
        try:
            return ServiceReply(action.id, await asked)
        except ServiceFailed as error:
            answer.notes.append(str(error))  # which callers never hear
            return ServiceReply(action.id, error=str(error))

    async def _consult(self, action: AskModel) -> ModelReply:
        if self._asked < len(self._model):
            self._asked += 1
            return ModelReply(action.id, self._model[self._asked - 1])
        if self._ask is None:
            return ModelReply(action.id, error="no language model is configured")
        try:
            async with asyncio.timeout(action.timeout_ms / 1000):
                return ModelReply(action.id, await self._ask(action))
        except TimeoutError:
            return ModelReply(action.id, error=f"no reply in {action.timeout_ms} ms")
        except VoicebotError as error:
            return ModelReply(action.id, error=str(error))

    def _seen(self, answer: Answer) -> Answer:
        machine = self._machine
        answer.outcome = machine.outcome
        is_waiting = machine.expectation is not None or self._message is not None
        answer.state = machine.state if is_waiting and machine.outcome is None else None
        answer.slots = machine.slots
        answer.is_goal = machine.is_goal
        self._last = answer
        return answer


def _joined(first: Answer, then: Answer) -> Answer:
    then.said = [*first.said, *then.said]
    then.notes = [*first.notes, *then.notes]
    return then


def stand_in(replies: Sequence[Mapping[str, object]]) -> Callable[..., Mapping[str, object]]:
    """A service that gives these replies in turn, the last one again and again."""
    left = list(replies)

    def answer(**_: object) -> Mapping[str, object]:
        reply = left.pop(0) if len(left) > 1 else left[0]
        if set(reply) == {"error"}:
            raise ServiceFailed(str(reply["error"]))
        return reply

    return answer
