"""`voicebot bench hearing`: how many calls this machine can hear at once."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicebot.evaluation.bench_hearing import HearingBench

FAILED, INTERRUPTED = 1, 130


def add(kinds: Any, count: Callable[[str], int], seconds: Callable[[str], float]) -> None:
    """Parsing; `count` and `seconds` are what the other benches take for numbers."""
    purpose = "steps of 20 ms for all calls, more and more of them until steps take longer"
    parser = kinds.add_parser("hearing", help=purpose, description=purpose, allow_abbrev=False)
    parser.set_defaults(run=bench_hearing, parser=parser)
    add = parser.add_argument
    add("--streams", type=count, default=8, metavar="N", help="to begin with; 8")
    add("--device", default="auto", help="cpu, cuda or cuda:N; what there is")
    add("--seconds", type=seconds, default=5.0, metavar="S", help="of audio in each trial; 5")
    add("--keys", action="store_true", help="listen for keys in the audio, too")
    add("--fixed", action="store_true", help="measure N streams and stop there")
    add("--json", action="store_true", help="print one JSON object")


def bench_hearing(options: argparse.Namespace) -> int:
    """Trials, then the table or the object; after Ctrl-C with what was measured so far.

    1 where the device does not hear even the first number of streams."""
    from voicebot.server.terminal import waiting

    with waiting("loading") as tell:
        from voicebot.evaluation.bench_hearing import HearingBench

        bench = HearingBench(options.device, has_keys=options.keys)
    code = 0
    try:
        with waiting(f"{options.streams} streams") as tell:
            search = not options.fixed
            for trial in bench.run(options.streams, options.seconds, is_search=search):
                tell(f"{trial.streams} streams: p99 {trial.percentile(99):.1f} ms; the next")
    except KeyboardInterrupt:
        print("voicebot: interrupted; measured so far:", file=sys.stderr)
        code = INTERRUPTED
    if bench.note:
        code = code if bench.trials else FAILED
        print(f"voicebot: {bench.note}", file=sys.stderr)
    if bench.is_cpu:
        print(
            "voicebot: measured small, on this CPU, as calls are heard there (one thread): no "
            "figure for a GPU follows from it. On one: voicebot bench hearing --streams 1000 "
            "--device cuda",
            file=sys.stderr,
        )
    if options.json:
        print(json.dumps(bench.report()))
    else:
        _print_table(bench)
    return code


def _print_table(bench: HearingBench) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"hearing on {bench.name}, steps of 20 ms")
    for name in ("streams", "step p50", "p99", "of a tick", ""):
        table.add_column(name, justify="right")
    for trial in sorted(bench.trials, key=lambda one: one.streams):
        table.add_row(
            str(trial.streams),
            f"{trial.percentile(50):.2f} ms",
            f"{trial.percentile(99):.2f} ms",
            f"{5 * trial.percentile(50):.0f} %",
            "in time" if trial.holds else "too many",
        )
    console = Console(highlight=False)
    console.print(table)
    report = bench.report()
    stages = ", ".join(f"{name} {ms:.2f}" for name, ms in report["stages_ms"].items())
    console.print(f"a step at {report['streams']} streams, ms: {stages}")
    console.print(
        f"most streams in time: {report['max_streams']}; "
        f"state {report['state_mb_per_stream']} MB per stream"
    )
