"""`voicebot demo`: one whole call on loopback, printed live, with everything that it leaves."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from voicebot.asr.record_text import RecordText
from voicebot.config import Settings
from voicebot.dialogue.plan import load_plan
from voicebot.errors import UserMistake, VoicebotError
from voicebot.evaluation.timeline_plot import draw
from voicebot.server.live_print import LivePrint, summary
from voicebot.server.placing import Report, caller_turn, place
from voicebot.server.shipped import plan_path
from voicebot.telephony.simulator import CallerTurn

SHIPPED = "barista"


def script() -> list[CallerTurn]:
    """The synthetic caller's part; it does not wait for the end of the question."""
    return [
        caller_turn("say", "Can I have a small coffee with milk please?"),
        caller_turn("say", "Yes.", over_s=2.0),
    ]


async def run_demo(
    settings: Settings, console: Console, *, plan: Path | None, runs: Path
) -> Report:
    """Place the call, print it, and leave recording, timeline and picture in a folder of `runs`."""
    if plan is not None and load_plan(plan) and plan.stem != SHIPPED:
        raise UserMistake(
            f"demo: its caller only knows the {SHIPPED} plan; "
            f"try: voicebot call --dialplan {plan} --say 'your words'"
        )
    folder = _folder(runs)
    store = settings.store.model_copy(update={"journal": folder / "journal.sqlite"})
    printer = LivePrint(console, RecordText(settings.asr.text, settings.asr.profanity))
    report = await place(
        settings.model_copy(update={"store": store}),
        plan=plan or plan_path(SHIPPED),
        turns=script(),
        live=lambda text: console.print(f"[dim]{text}[/dim]"),
        on_event=printer.wire,
        tap=printer.inside,
        folder=folder,
    )
    picture = folder / "call.png"
    try:
        await asyncio.to_thread(draw, folder / "recording.wav", folder / "timeline.jsonl", picture)
    except VoicebotError as error:  # of a call that failed there may be nothing to draw
        console.print(f"[red]no picture: {escape(str(error))}[/red]")
    summary(console, report)
    for name in ("recording.wav", "timeline.jsonl", "call.png"):
        if (folder / name).exists():
            console.print(f"  {folder / name}")
    return report


def _folder(runs: Path) -> Path:
    folder = runs / datetime.now().strftime("demo-%Y%m%d-%H%M%S")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserMistake(
            f"{folder}: cannot be made ({error.strerror}); name another folder with --runs"
        ) from None
    return folder
