"""A call printed while it happens, and its turns as a table when it is over."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voicebot.asr.record_text import RecordText
from voicebot.events import (
    BargeIn,
    CallerTurn,
    Disconnect,
    KeysEntered,
    Listen,
    NoInput,
    Play,
    PromptHeard,
    ServiceReply,
    Transfer,
)
from voicebot.server.call_record import AS_RECOGNISED
from voicebot.server.placing import Report
from voicebot.speech.verbalise import join
from voicebot.telephony.call_events import BotSpeaks, CallerSpeaks, CallEvent, Cleared, KeySent


class LivePrint:
    """`wire` sees the caller's side of the call, `inside` the server's, when it is ours."""

    def __init__(
        self,
        console: Console,
        shown: RecordText = AS_RECOGNISED,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """`shown`: how what the caller said is printed."""
        self._console = console
        self._shown = shown
        self._language = "en"
        self._clock = clock
        self._now_s = 0.0
        self._wire: tuple[float, float] | None = None  # the line's time then, and the clock's

    def wire(self, event: CallEvent) -> None:
        """One event of the simulated line."""
        self._now_s = event.at_s
        self._wire = (event.at_s, self._clock())
        match event:
            case CallerSpeaks():
                self._line("caller", f"[cyan]{escape(event.label)}[/cyan]")
            case KeySent():
                self._line("caller", f"[cyan]key {event.key}[/cyan]")
            case BotSpeaks(response_ms=float() as response_ms):
                self._note(f"answers {response_ms:.0f} ms after the caller's last sound")
            case Cleared(barge_in_ms=float() as barge_in_ms):
                self._note(f"yields {barge_in_ms:.0f} ms after the caller began")

    def inside(self, event: object) -> None:
        """One event of the server: it happens so long after the last one of the line."""
        if self._wire is not None:
            at_s, seen_s = self._wire
            self._now_s = at_s + self._clock() - seen_s
        match event:
            case Listen():
                self._language = event.expectation.language
            case Play():
                self._line("bot", f"[green]{escape(join(event.parts, 'en'))}[/green]")
            case CallerTurn(hypothesis=said):
                sure = f"[dim]({said.confidence:.0%} sure)[/dim]"
                self._line("heard", f"{escape(self._shown(said.text, self._language))} {sure}")
            case KeysEntered():
                self._line("heard", f"keys {event.keys}")
            case NoInput():
                self._note("the caller says nothing")
            case BargeIn():
                self._note(f"the caller interrupts ({event.kind})")
            case PromptHeard(was_cut=True):
                self._note(f"of the prompt the caller heard: {escape(repr(event.text))}")
            case ServiceReply(error=str() as error):
                self._note(escape(error))
            case Disconnect():
                self._note(f"the dialogue ends: {event.outcome}")
            case Transfer():
                self._note(f"transfer to {event.destination}")

    def _note(self, text: str) -> None:
        self._line("", f"[dim]{text}[/dim]")

    def _line(self, who: str, text: str) -> None:
        self._console.print(f"{self._now_s:6.2f} s  {who:<7} {text}")


def summary(console: Console, report: Report, *, with_bot: bool = False) -> None:
    """The turns as a table, and how the call ended; `with_bot` where it was not printed live."""
    table = Table(box=box.SIMPLE)
    table.add_column("caller", ratio=2)
    table.add_column("heard", ratio=2)
    for name in ("sure", "answered", "yielded"):
        table.add_column(name, justify="right", no_wrap=True)
    if with_bot:
        table.add_column("bot", ratio=3)
    for turn in report.turns:
        cells = [
            escape(str(turn["said"] or turn["by"])),
            escape(str(turn["heard"])),
            f"{turn['confidence']:.0%}" if turn["by"] == "speech" else "",
            _ms(turn["response_ms"]),
            _ms(turn["barge_in_ms"]),
        ]
        table.add_row(*cells, *([escape(str(turn["bot"]))] if with_bot else []))
    if report.turns:
        console.print(table)
    slots = ", ".join(f"{name}: {value}" for name, value in report.slots.items())
    goal = "[green]goal reached[/green]" if report.is_goal else "[red]goal not reached[/red]"
    outcome = escape(str(report.outcome or report.end_reason))
    console.print(f"outcome {outcome}, {goal}" + (f"; {escape(slots)}" if slots else ""))
    if report.transfer_to:
        console.print(f"transferred to {report.transfer_to}")
    for error in report.errors:
        console.print(f"[red]{escape(error)}[/red]")


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} ms"
