"""A conversation with a machine, spoken in Interpretations; services are answered at once."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import Plan, load_plan
from voicebot.events import (
    Action,
    CallService,
    CallStarted,
    DialogueEvent,
    Disconnect,
    Expectation,
    Interpretation,
    Listen,
    NoInput,
    Play,
    ServiceReply,
    SlotValue,
    Transfer,
)

DIALPLANS = Path(__file__).parents[2] / "dialplans"
NOW = datetime(2026, 11, 20, 10, 30)  # a Friday


def says(intent: str | None = None, /, sure: float = 0.95, **slots: str) -> Interpretation:
    """An utterance with an intent and slots."""
    values = tuple(SlotValue(name, value, value, sure) for name, value in slots.items())
    return Interpretation(intent, values, sure)


def universal(name: str) -> Interpretation:
    """operator, help, ..."""
    return Interpretation(name, confidence=0.9, is_universal=True)


YES, NO = says(confirmed="yes"), says(confirmed="no")
SILENCE = NoInput(0)
NONSENSE = Interpretation(text="mumble")


def plan_of(tmp_path: Path, text: str) -> Plan:
    """A plan from YAML text."""
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    return load_plan(path)


class Conversation:
    """Feeds a machine and keeps what it said and did last."""

    def __init__(
        self,
        plan: Plan,
        services: Mapping[str, Callable[..., Mapping[str, object]]] | None = None,
        **parameters: str,
    ) -> None:
        self.plan = plan
        self.machine = Machine(plan, NOW)
        self.services = services or {}
        self.called: list[CallService] = []
        self.said: list[str] = []
        self.actions: list[Action] = []
        self.waits_for: Expectation | None = None
        self(CallStarted(parameters=parameters))

    def __call__(self, event: DialogueEvent) -> list[str]:
        """Handle an event, and the services it leads to; the prompts spoken in answer."""
        self.said, self.actions, self.waits_for = [], [], None
        pending: list[DialogueEvent] = [event]
        while pending:
            for action in self.machine.handle(pending.pop(0)):
                self.actions.append(action)
                if isinstance(action, Play):
                    spoken = [
                        part if isinstance(part, str) else part.value for part in action.parts
                    ]
                    self.said.append("".join(spoken))
                elif isinstance(action, Listen):
                    self.waits_for = action.expectation
                elif isinstance(action, CallService):
                    self.called.append(action)
                    pending.append(self._answer(action))
        # Through JSON and back, as a call that moves to another process would.
        saved = self.machine.to_json()
        self.machine = Machine.from_json(self.plan, NOW, saved)
        assert self.machine.to_json() == saved
        return self.said

    def _answer(self, call: CallService) -> ServiceReply:
        try:
            return ServiceReply(call.id, self.services[call.name](**call.arguments))
        except Exception as error:
            return ServiceReply(call.id, error=str(error))

    @property
    def state(self) -> str:
        """Where the machine waits."""
        assert self.waits_for is not None, self.actions
        assert isinstance(self.actions[-1], Listen)
        return self.waits_for.state

    @property
    def end(self) -> Disconnect | Transfer:
        """How the call ended."""
        last = self.actions[-1]
        assert isinstance(last, Disconnect | Transfer), last
        assert self.machine.outcome == last.outcome
        return last
