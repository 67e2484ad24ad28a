"""What a plan asks of others, and what it makes of their answers: services and messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from voicebot.dialogue import defaults, expressions, inherit
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.performer import Performer, steps_at
from voicebot.dialogue.schema import Service, Step, Voicemail
from voicebot.dialogue.state import Called, plain
from voicebot.dialogue.understanding import is_well_formed
from voicebot.events import (
    CallService,
    MessageTaken,
    Play,
    ServiceReply,
    SlotSpec,
    SlotType,
    TakeMessage,
)

_ABSENT = object()


class Asking:
    """Calls services and takes messages for the step that runs."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._state = performer.state

    # ------------------------------------------------------------ services

    def service(self, name: str, arguments: Mapping[str, object]) -> None:
        """Call a service; the answer comes to `replied`."""
        values = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in arguments.items()
            if value is not None
        }
        self._wait("service")
        self._state.called = Called(name=name, arguments=values)
        self.again()

    def again(self) -> None:
        """Send out what is waited for, a service or a message, under the id that it has."""
        state = self._state
        if state.mode == "message":
            how = self._running().voicemail or Voicemail()
            take = TakeMessage(state.pending, how.max, how.silence, how.terminator, how.tone)
            self._performer.actions.append(take)
        elif state.called is not None:
            self._send(state.called)

    def _send(self, called: Called) -> None:
        performer, keys = self._performer, self._performer.keys.services.get(called.name)
        filler: list[Play] = []
        if keys is not None and keys.filler:
            said, performer.actions = performer.actions, []
            performer.play(keys.filler)
            filler = [action for action in performer.actions if isinstance(action, Play)]
            performer.actions = said
        after = keys.filler_after if keys is not None else None
        call = CallService(
            self._state.pending,
            called.name,
            called.arguments,
            tuple(filler),
            defaults.FILLER_AFTER_MS if after is None else after,
        )
        performer.actions.append(call)

    def replied(self, reply: ServiceReply) -> None:
        """A service's answer to the running step: assign, or run the error branch."""
        step = self._running()
        problem = reply.error or problem_of(
            self._performer.keys.services.get(step.call or ""), reply
        )
        if problem is not None and not reply.error:
            self._performer.note("reply refused", {"service": step.call, "problem": problem})
        self._answered(step, None if problem else reply.value)

    # ------------------------------------------------------------ messages

    def message(self) -> None:
        """Record the caller; the result comes to `took`."""
        self._wait("message")
        self.again()

    def took(self, message: MessageTaken) -> None:
        """What was recorded: too short a message is none."""
        step = self._running()
        how = step.voicemail or Voicemail()
        is_one = message.error is None and message.seconds * 1000 >= how.min
        found = {
            "file": message.file,
            "seconds": round(message.seconds, 1),
            "ended_by": message.ended_by,
        }
        self._performer.note(
            "message" if is_one else "no message", {**found, "error": message.error}
        )
        self._answered(step, found if is_one else None)

    # ------------------------------------------------------------ both

    def _wait(self, mode: Literal["service", "message"]) -> None:
        state = self._state
        state.asked += 1
        state.pending = f"{mode}-{state.asked}"
        state.mode = mode

    def _running(self) -> Step:
        frame = self._state.frames[-1]
        return steps_at(self._performer.keys, frame.address)[frame.index]

    def _answered(self, step: Step, values: Mapping[str, object] | None) -> None:
        """Assign, or take the error branch, or else go to the operator."""
        state, performer = self._state, self._performer
        state.mode, state.pending = "run", ""
        frame = state.frames[-1]
        assign = step.assign or {}
        found = {
            name: expressions.look_up(values, path, _ABSENT) if values is not None else _ABSENT
            for name, path in assign.items()
        }
        if values is not None and _ABSENT not in found.values():
            for name, value in found.items():
                performer.assign(name, plain(value))
            return
        if values is not None:
            problem = f"{next(assign[n] for n in found if found[n] is _ABSENT)} is missing"
            performer.note("reply refused", {"service": step.call, "problem": problem})
        index, frame.index, frame.stage = frame.index, frame.index + 1, "begin"
        if step.error is not None:
            state.frames.append(type(frame)(address=[*frame.address, index, "error"]))
        elif step.call is not None:
            self.to_operator()

    def to_operator(self) -> None:
        """Something failed for which the plan has no answer: a person, or the end of the call."""
        performer = self._performer
        place = Place(self._state.form, "open")
        operator = inherit.universals(performer.keys, place).get("operator")
        if operator is None:
            performer.fail()
        else:
            performer.play(inherit.operator_words(performer.keys, operator))
            performer.leave(operator, with_prompt=False)


def problem_of(service: Service | None, reply: ServiceReply) -> str | None:
    """What in a reply is not as the plan says; None when all is."""
    for name, wanted in ((service.reply if service is not None else None) or {}).items():
        value = reply.value.get(name)
        if value is None:
            return f"{name} is missing"
        if isinstance(wanted, list):
            if wanted and as_text(value) not in wanted:
                return f"{name} is none of {', '.join(wanted)}"
        elif not fits(wanted, value):
            return f"{name} is no {wanted.value}"
    return None


def fits(wanted: SlotType, value: object) -> bool:
    """Whether a value from outside has the form of a type."""
    if isinstance(value, Mapping | list | tuple):
        return False
    text = as_text(value)
    if wanted is SlotType.YES_NO:
        return isinstance(value, bool) or text in {"yes", "no"}
    return wanted is SlotType.CHOICE or is_well_formed(text, SlotSpec("", wanted))


def as_text(value: object) -> str:
    """A JSON value as a slot would hold it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
