"""Runs a plan's step lists, one stage of one step at a time."""

from __future__ import annotations

from voicebot.dialogue.activations import Activations
from voicebot.dialogue.asking import Asking
from voicebot.dialogue.interview import Interview
from voicebot.dialogue.performer import Performer, steps_at
from voicebot.dialogue.schema import Step
from voicebot.dialogue.state import Frame


class Stepper:
    """Advances the innermost step list of a State."""

    def __init__(
        self, performer: Performer, asking: Asking, activations: Activations, interview: Interview
    ) -> None:
        self._performer = performer
        self._asking = asking
        self._activations = activations
        self._interview = interview

    def step(self) -> None:
        """One stage of one step; stages come in the order of the keys of `Step`."""
        frames = self._performer.state.frames
        frame = frames[-1]
        steps = steps_at(self._performer.keys, frame.address)
        if frame.index >= len(steps):
            frames.pop()
            return
        step = steps[frame.index]
        match frame.stage:
            case "begin" if not self._performer.is_true(step.when):
                frame.index += 1
            case "begin":
                frame.stage = "call"
                self._performer.begin(step)
            case "call":
                frame.stage = "form"
                if step.call is not None:
                    self._asking.service(step.call, self._performer.values(step.with_))
            case "form":
                frame.stage = "voicemail"
                if step.form is not None:
                    arguments = self._performer.values(step.with_)
                    self._activations.call(step.form, arguments, step.assign or {})
            case "voicemail":
                frame.stage = "do"
                if step.voicemail is not None:
                    self._asking.message()
            case "do":
                frame.stage = "exit"
                if step.do:
                    frames.append(Frame(address=[*frame.address, frame.index, "do"]))
            case "exit":
                frame.stage = "begin"
                frame.index += 1
                self._leave(step)

    def _leave(self, step: Step) -> None:
        if step.return_ is None:
            self._interview.leave(step)
            return
        values = self._performer.values(step.return_)
        self._performer.state.frames = []
        self._interview.end_form(values or None)
