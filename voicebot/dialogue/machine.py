"""Conducts a call by a plan: VoiceXML's form interpretation algorithm, as a state machine.

Events in, actions out; no clock, no I/O, nothing raised, whatever comes in whatever order.
Selects the first unfilled field whose condition holds, asks, takes every value that the
answer holds (also of other fields), runs `filled`, and so on until the form is left.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from voicebot.dialogue import defaults, inherit, texts
from voicebot.dialogue.activations import Activations
from voicebot.dialogue.asking import Asking
from voicebot.dialogue.consulting import Consulting
from voicebot.dialogue.expectations import Place, expectation, language_of
from voicebot.dialogue.interview import Interview
from voicebot.dialogue.performer import Performer
from voicebot.dialogue.saving import restored
from voicebot.dialogue.schema import LadderEntry
from voicebot.dialogue.state import Said, State, plain, whole
from voicebot.dialogue.stepping import Stepper
from voicebot.dialogue.taking import Taker
from voicebot.dialogue.texts import Texts
from voicebot.dialogue.understanding import Heard, declined, repaired, understand, why_refused
from voicebot.dialogue.universals import Universals
from voicebot.dialogue.wishes import Wishes
from voicebot.events import (
    Action,
    BargeInMode,
    CallerHungUp,
    CallStarted,
    DialogueEvent,
    Expectation,
    Interpretation,
    Listen,
    MessageTaken,
    ModelReply,
    NoInput,
    Play,
    PromptHeard,
    ServiceReply,
    SlotValue,
)

if TYPE_CHECKING:
    from voicebot.dialogue.plan import Plan

UNHEARD = "(no recogniser)"
"""Counts turns that nobody could recognise, wherever they were; no place has that name."""


class Machine:
    """The dialogue of one call. `now` is the caller's local time when the call began."""

    def __init__(self, plan: Plan, now: datetime) -> None:
        self._plan = plan
        self._now = now
        self._attach(State(variables=dict(plan.keys.variables)))

    def _attach(self, state: State) -> None:
        self._state = state
        performer = Performer(self._plan, state, self._now)
        self._performer = performer
        self._activations = Activations(performer)
        self._asking = Asking(performer)
        self._taker = Taker(performer, self._activations)
        self._wishes = Wishes(performer, self._activations, self._taker)
        self._interview = Interview(performer, self._activations, self._wishes)
        self._consulting = Consulting(performer, self._asking, self._taker)
        self._stepper = Stepper(performer, self._asking, self._activations, self._interview)
        self._universals = Universals(performer, self._activations, self._interview)

    # ------------------------------------------------------------ from outside

    @property
    def state(self) -> str:
        """Name of the place where the dialogue waits, `form/field`."""
        at = self._state.at
        return at.place.state if at is not None else self._state.form

    @property
    def slots(self) -> dict[str, str]:
        """Filled slots, by name."""
        return {name: filled.value for name, filled in self._state.slots.items()}

    @property
    def recent(self) -> tuple[SlotValue, ...]:
        """Values that the caller gave, the last one last: what "the same day" may point at."""
        return tuple(SlotValue(name, value) for name, value in self._state.recent)

    @property
    def outcome(self) -> str | None:
        """How the call ended; None while it goes on."""
        return self._state.outcome

    @property
    def is_goal(self) -> bool:
        """Whether a goal was reached, by the way the call ended or before."""
        return self._state.is_goal or bool(self._state.goals)

    @property
    def goals(self) -> tuple[str, ...]:
        """Goals reached so far, in order."""
        return tuple(self._state.goals)

    @property
    def expectation(self) -> Expectation | None:
        """What is waited for now; None while not listening."""
        place = self._place
        if self._state.mode != "listen" or place is None:
            return None
        # "No" rejects what was just mentioned, or leaves out what was asked for by its name.
        may_reject = bool(self._state.acknowledged) or self._taker.may_leave_out(place)
        found = expectation(self._performer.keys, place, with_yes_no=may_reject)
        if self._state.noinput_ms is not None:
            timeouts = replace(found.timeouts, noinput_ms=self._state.noinput_ms)
            found = replace(found, timeouts=timeouts)
        return found

    def to_json(self) -> str:
        """The whole state as JSON text."""
        return self._state.model_dump_json()

    @classmethod
    def from_json(cls, plan: Plan, now: datetime, text: str) -> Machine:
        """A machine that goes on where `to_json` stopped; PlanError when the plan has changed."""
        machine = cls(plan, now)
        machine._attach(restored(plan, text))
        return machine

    def resume(self) -> list[Action]:
        """What a call that goes on elsewhere begins with: what was said last, and the question or
        request that is waited for, under its old id. Changes nothing; before CallStarted, and
        after the end, there is nothing to do."""
        performer, mode = self._performer, self._state.mode
        performer.actions = []
        if mode == "listen":
            self._universals.repeat()
        elif mode in {"service", "message"}:
            self._asking.again()
        elif mode == "model":
            self._consulting.again()
        waits_for = self.expectation
        return [*performer.actions, *([Listen(waits_for)] if waits_for is not None else [])]

    def handle(self, event: DialogueEvent) -> list[Action]:
        """Take an event; what to do now. Events that come too late or too early do nothing."""
        state = self._state
        self._performer.actions = []
        if state.mode == "ended":
            return []
        if isinstance(event, CallerHungUp):
            self._performer.hang_up()
            return []
        if isinstance(event, PromptHeard):
            self._note_heard(event)
            return []
        if isinstance(event, CallStarted) and state.mode == "new":
            self._start(event)
        elif isinstance(event, ServiceReply | MessageTaken | ModelReply):
            if event.id != state.pending or not self._answered(event):
                return []
            state.alone += 1
        elif isinstance(event, NoInput) and state.mode == "listen":
            self._miss("noinput")
        elif isinstance(event, Interpretation) and state.mode == "listen":
            self._interpret(event)
        else:
            return []
        self._run()
        return self._close_turn()

    # ------------------------------------------------------------ a turn

    def _answered(self, event: ServiceReply | MessageTaken | ModelReply) -> bool:
        """What was waited for is here; False when it is something else."""
        mode = self._state.mode
        if isinstance(event, ServiceReply) and mode == "service":
            # As JSON, whatever came: what cannot be kept or spoken is no value.
            event = replace(event, value={str(k): plain(v) for k, v in event.value.items()})
            if self._state.is_tool:
                self._consulting.tool_replied(event)
            else:
                self._asking.replied(event)
        elif isinstance(event, MessageTaken) and mode == "message":
            self._asking.took(event)
        elif isinstance(event, ModelReply) and mode == "model":
            self._consulting.replied(event)
        else:
            return False
        return True

    @property
    def _texts(self) -> Texts:
        return texts.of(self._performer.keys.language)

    @property
    def _place(self) -> Place | None:
        return self._state.at.place if self._state.at is not None else None

    def _start(self, event: CallStarted) -> None:
        self._state.call = {whole(str(k)): whole(str(v)) for k, v in event.parameters.items()}
        start = self._performer.start
        if start != self._plan.start:
            self._performer.note("closed", {"at": self._performer.now.isoformat()})
        self._performer.enter(start)
        self._performer.play(self._performer.keys.welcome)

    def _note_heard(self, event: PromptHeard) -> None:
        self._state.heard = f"{self._state.heard} {event.text}".strip()
        self._state.was_cut = self._state.was_cut or event.was_cut

    def _run(self) -> None:
        steps = defaults.MAX_STEPS if self._state.alone <= defaults.MAX_ALONE else 0
        for _ in range(steps):
            if self._state.mode != "run":
                break
            if self._state.frames:
                self._stepper.step()
            else:
                self._interview.select()
        if self._state.mode == "listen":
            self._state.alone = 0
        if self._state.mode == "run":
            self._performer.note("endless", {"form": self._state.form})
            self._performer.fail()

    def _close_turn(self) -> list[Action]:
        actions = self._performer.actions
        state = self._state
        plays = [action for action in actions if isinstance(action, Play)]
        if plays:
            state.last_plays = [_said(play) for play in plays]
            state.heard, state.was_cut = "", False
        waits_for = self.expectation
        if waits_for is not None:
            is_uninterruptible = any(play.barge_in is BargeInMode.NONE for play in plays)
            actions.append(Listen(waits_for, must_be_heard=is_uninterruptible))
        if state.mode == "ended":
            # Last words are not cut off: nobody listens for what would interrupt them.
            return [
                replace(action, barge_in=BargeInMode.NONE) if isinstance(action, Play) else action
                for action in actions
            ]
        return actions

    # ------------------------------------------------------------ process

    def _miss(self, kind: Literal["noinput", "nomatch"]) -> None:
        """One more noinput or nomatch: take the rung of the ladder."""
        state, place = self._state, self._place
        if place is None:
            return
        state.misses += 1
        count = state.count(f"{place.state}:{kind}")
        rungs = inherit.ladder(self._performer.keys, place, kind)
        rung = next((rung for rung in reversed(rungs) if (rung.count or 0) <= count), None)
        if state.misses >= defaults.MAX_MISSES:
            rung = LadderEntry.model_validate(
                {"prompt": self._texts.last_words[kind], "disconnect": kind}
            )
        if rung is not None and rung.leaves:
            self._performer.leave(rung)
            return
        if rung is not None:
            self._performer.play(rung.prompt)
        if rung is None or rung.reprompt or not rung.prompt:
            self._interview.ask(place)

    def _interpret(self, event: Interpretation) -> None:
        place, waits_for = self._place, self.expectation
        if place is None or waits_for is None:
            return
        if event.is_unheard and self._state.count(UNHEARD) == 1:
            self._performer.note("recogniser lost", {})
            if waits_for.digits is None:  # no key is taken here: as if all tries had been in vain
                self._performer.leave(inherit.ladder(self._performer.keys, place, "nomatch")[-1])
                return
            self._performer.play(inherit.keys_only_prompt(self._performer.keys, place))
            self._interview.ask(place)
            return
        if event.is_universal and (language := language_of(event.intent)) is not None:
            if language in self._plan.languages:
                self._universals.change_language(place, language)
            else:
                self._refuse(place, waits_for, event, Heard())
            return
        may_leave_out = self._taker.may_leave_out(place)
        event = declined(self._performer.keys, place, event, may_leave_out=may_leave_out)
        if event.is_universal and event.intent in inherit.universals(self._performer.keys, place):
            self._universals.take(place, event.intent)
            return
        if place.kind == "llm":
            self._open_question(place, waits_for, event)
            return
        heard = understand(self._performer.keys, place, waits_for, event, self._state.denied)
        if heard.is_nothing:
            self._refuse(place, waits_for, event, heard)
            return
        fields = self._performer.form.fields
        heard = repaired(heard, place, {n: v for n, v in self.slots.items() if n in fields})
        self._state.mode = "run"
        if self._taker.take(place, heard, by_key=event.by == "dtmf"):
            self._state.misses = 0
            if self._state.mode == "run":
                self._wishes.keep(place, waits_for, event)
        else:
            self._refuse(place, waits_for, event, heard)

    def _refuse(
        self, place: Place, waits_for: Expectation, event: Interpretation, heard: Heard
    ) -> None:
        """A nomatch, on record with its reason: what the journal counts is what was done."""
        why = why_refused(self._performer.keys, place, waits_for, event, heard)
        self._performer.note(defaults.NOMATCH, {"state": place.state, "why": why})
        self._miss("nomatch")

    def _open_question(self, place: Place, waits_for: Expectation, event: Interpretation) -> None:
        """What the caller said is for the language model, unless he asks for another form."""
        heard = understand(self._performer.keys, place, waits_for, event, self._state.denied)
        if heard.form is not None and heard.form != place.form:
            self._state.mode = "run"
            self._taker.take(place, heard, by_key=event.by == "dtmf")
        elif event.by == "speech" and event.text.strip():
            self._state.mode = "run"
            self._state.misses = 0
            self._state.forget_misses(place.state)
            self._consulting.heard(event.text)
        else:
            self._refuse(place, waits_for, event, heard)


def _said(play: Play) -> Said:
    parts = [
        part if isinstance(part, str) else (part.value, part.kind, part.pace) for part in play.parts
    ]
    return Said(parts=parts, barge_in=play.barge_in, language=play.language)
