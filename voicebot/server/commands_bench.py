"""`voicebot bench asr`: how many calls this machine can recognise at once; `bench hearing`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from voicebot.server import commands_bench_hearing

if TYPE_CHECKING:
    from voicebot.evaluation.bench import Bench
    from voicebot.evaluation.bench_pace import Measured

INTERRUPTED = 130


def add(commands: Any, command: Any) -> None:
    """Parsing of `voicebot bench`."""
    added = command("bench", bench_asr, "measure how many calls this machine can recognise")
    kinds = added.add_subparsers(required=True, metavar="WHAT")
    purpose = "streams in real time, raised until chunks come late"
    asr = kinds.add_parser("asr", help=purpose, description=purpose, allow_abbrev=False)
    asr.set_defaults(run=bench_asr, parser=asr)
    asr.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help="telephone (on a CPU the shipped weights), tiny, fastconformer-115m or "
        "fastconformer-0.6b (random weights)",
    )
    asr.add_argument("--streams", type=_count, default=1, metavar="N", help="to begin with")
    asr.add_argument(
        "--chunk-ms",
        type=_count,
        default=None,
        metavar="C",
        help="audio of a step, or the nearest there is; 160. telephone: between partials; 300",
    )
    asr.add_argument("--device", default="auto", help="cpu, cuda or cuda:N; what there is")
    asr.add_argument("--seconds", type=_seconds, default=5.0, metavar="S", help="of each trial; 5")
    asr.add_argument(
        "--activity",
        type=_share,
        default=0.4,
        metavar="SHARE",
        help="how much of the time callers speak (telephone); 0.4",
    )
    asr.add_argument(
        "--threads", type=_count, default=0, metavar="N", help="of a CPU; all cores but one"
    )
    asr.add_argument("--fixed", action="store_true", help="measure N streams and stop there")
    asr.add_argument("--json", action="store_true", help="print one JSON object")
    commands_bench_hearing.add(kinds, _count, _seconds)


def bench_asr(options: argparse.Namespace) -> int:
    """Trials, then the table or the object; after Ctrl-C with what was measured so far."""
    from voicebot.server.terminal import waiting

    with waiting("loading") as tell:
        from voicebot.evaluation.bench import prepare

        bench = prepare(
            options.model,
            options.device,
            options.chunk_ms,
            activity=options.activity,
            threads=options.threads,
            tell=tell,
        )
    code = 0
    try:
        with waiting(f"{options.streams} streams") as tell:
            trials = bench.run(options.streams, options.seconds, is_search=not options.fixed)
            for measured in trials:
                p99 = measured.percentile_ms("chunks", 99)
                tell(f"{measured.streams} streams: chunk p99 {p99:.0f} ms; trying the next")
    except KeyboardInterrupt:
        print("voicebot: interrupted; measured so far:", file=sys.stderr)
        code = INTERRUPTED
    _print_notes(bench)
    if options.json:
        print(f"voicebot: {bench.memory()}", file=sys.stderr)
        print(json.dumps(bench.report()))
    else:
        _print_table(bench)
    return code


def _print_notes(bench: Bench) -> None:
    print(
        "voicebot: without the wire: what asr-serve does to receive the audio of these streams "
        "(sockets, frames, mu-law) is not in these figures",
        file=sys.stderr,
    )
    for note in bench.notes:
        print(f"voicebot: {note}", file=sys.stderr)
    if bench.is_cpu:
        print(
            "voicebot: measured small, on this CPU: no figure for a GPU follows from it. "
            f"On one: voicebot bench asr --model {bench.model} --streams 1000 "
            f"--chunk-ms {bench.chunk_ms} --device cuda",
            file=sys.stderr,
        )
    late = [trial for trial in bench.trials if bench.holds(trial) and bench.is_final_late(trial)]
    for measured in sorted(late, key=lambda trial: trial.streams):
        print(
            f"voicebot: at {measured.streams} streams chunks are in time, but final p99 is "
            f"{measured.percentile_ms('finals', 99):.0f} ms: fewer streams should be served",
            file=sys.stderr,
        )


def _print_table(bench: Bench) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{bench.model} on {bench.device.name}, chunks of {bench.chunk_ms} ms")
    for name in ("streams", "chunk p50", "p99", "final p95", "p99", "busy", "of roofline", ""):
        table.add_column(name, justify="right")
    for measured in sorted(bench.trials, key=lambda trial: trial.streams):
        table.add_row(*_row(bench, measured))
    console = Console(highlight=False)
    console.print(table)
    report = bench.report()
    console.print(
        f"most streams in time: {report['max_streams']}; roofline for a chunk of them "
        f"{report['roofline_ms']} ms; state {report['state_mb_per_stream']} MB per stream"
    )
    console.print(str(bench.memory()))
    held = [trial for trial in bench.trials if bench.holds(trial) and trial.steps]
    if held:
        largest = max(held, key=lambda trial: trial.streams)
        console.print(_stages(largest))
        if largest.stage_s and not bench.is_cpu:
            ratio = bench.device_ms(largest) / bench.roofline_ms(largest.streams)
            console.print(f"the device alone, without its host: {ratio:.1f} x the roofline")


def _row(bench: Bench, measured: Measured) -> list[str]:
    figures = [
        measured.percentile_ms(of, share)
        for of, share in (("chunks", 50), ("chunks", 99), ("finals", 95), ("finals", 99))
    ]
    roofline = bench.roofline_ms(measured.streams)
    return [
        str(measured.streams),
        *(f"{value:.0f} ms" if value < float("inf") else "-" for value in figures),
        f"{100 * measured.busy_s / max(measured.wall_s, 1e-9):.0f} %",
        f"{bench.step_ms(measured) / roofline:.1f} x",
        _verdict(bench, measured),
    ]


def _verdict(bench: Bench, measured: Measured) -> str:
    """With what newer chunks replaced before it was computed: it is in no latency."""
    told = "finals late" if bench.is_final_late(measured) else "in time"
    if not bench.holds(measured):
        told = "too many"
    left_out = 100 * measured.left_out_share
    return f"{told}, {left_out:.1f} % left out" if measured.shed else told


def _stages(measured: Measured) -> str:
    """Where a step's time went; what the device did not compute is scheduling."""
    rest = max(0.0, measured.busy_s - sum(measured.stage_s.values()))
    stages = {**measured.stage_s, "scheduling" if measured.stage_s else "all": rest}
    parts = (f"{name} {seconds / measured.steps * 1000:.2f}" for name, seconds in stages.items())
    return f"a step at {measured.streams} streams, ms: {', '.join(parts)}"


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 0.99:
        raise argparse.ArgumentTypeError(f"{text!r} is no share between 0.01 and 0.99")
    return value


def _seconds(text: str) -> float:
    from voicebot.server.terminal import seconds

    value = seconds(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a trial takes at least 1 second")
    return value
