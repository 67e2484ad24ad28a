"""Load tests: `python -m load replay` and `python -m load frontend`.

Exit codes: 0 measured; 1 not one call got through, or the server under test failed; 2 a mistake
in the command; 3 the run is invalid because the tester itself sent late; 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from load import figures, recordings, server_metrics
from load.callers import Track, synthetic_track
from load.errors import LoadMistake, ServerFailed
from load.frontend import Measurement, longest_s
from load.process import require_linux
from load.replay import Replay, probe, run_interruptibly, webhook_of
from load.report import table
from load.schedule import Schedule
from load.subjects import Peer, Voicebot
from voicebot.audio import mulaw

Show = Callable[[str], None]
NO_CALL, MISTAKE, INVALID, INTERRUPTED = 1, 2, 3, 130
RECORDINGS = 12
"""Of `frontend --recordings`: what callers say in two minutes, then again."""
MOST_CALLS, LONGEST_S = 2000, 3600.0
"""Of one front end, whose plan grows with both; a machine has some tens of thousands of ports."""
CALLS_PER_CORE = 4
"""Of a peer, unless told otherwise: the stock bot's calls cost up to 71 ms a second each."""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    options = _parser().parse_args(arguments)
    show = _progress()
    try:
        return int(options.run(options, show))
    except (LoadMistake, ServerFailed) as error:
        show("")
        print(f"load: {error}", file=sys.stderr)
        return MISTAKE if isinstance(error, LoadMistake) else NO_CALL
    except KeyboardInterrupt:
        show("")
        print("load: interrupted", file=sys.stderr)
        return INTERRUPTED


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader left (`| head`): nobody to tell, and nothing to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run_replay(options: argparse.Namespace, show: Show) -> int:
    webhook_url = webhook_of(options.to, allow_remote=options.allow_remote)
    paths = recordings.find(options.recordings)
    pool = recordings.load(
        paths, options.pool, options.seed, lambda done: show(f"reading recordings: {done}")
    )
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        summary = runner.run(_replay(options, webhook_url, pool, show))
    show("")
    _print(json.dumps(summary) if options.json else table(summary))
    if summary["calls"] == summary["failed"]:
        return NO_CALL
    return 0 if summary["valid"] else INVALID


def _run_frontend(options: argparse.Namespace, show: Show) -> int:
    require_linux()
    peer = Peer(options.peer) if options.peer is not None else None
    show("preparing what callers say")
    track = _track(options.recordings)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        result = runner.run(_frontend(options, peer, track, show))
    show("")
    _print(json.dumps(result) if options.json else figures.table(result))
    both = [result, result["peer"]] if peer is not None else [result]
    if any(one["ended_early"] == one["calls"] for one in both):
        return NO_CALL
    return 0 if all(one["valid"] for one in both) else INVALID


def _track(folder: Path | None) -> Track:
    if folder is None:
        return synthetic_track()
    pool = recordings.load(recordings.find(folder), RECORDINGS, seed=0)
    return Track([mulaw.decode(turn.audio) for turn in pool.turns])


async def _frontend(
    options: argparse.Namespace, peer: Peer | None, track: Track, show: Show
) -> dict[str, Any]:
    if peer is not None:
        show("trying the peer")
        await peer.check()
    ours = Voicebot(options.calls, longest_s(options.calls, options.seconds))
    result = (await Measurement(ours, track, options.calls, options.seconds, show).run()).as_dict()
    if peer is not None:
        calls = options.peer_calls or min(options.calls, CALLS_PER_CORE * (os.cpu_count() or 1))
        theirs = await Measurement(peer, track, calls, options.seconds, show).run()
        result["peer"] = theirs.as_dict()
    return result


async def _replay(
    options: argparse.Namespace,
    webhook_url: str,
    pool: recordings.Pool,
    show: Show,
) -> dict[str, Any]:
    auth_token = os.environ.get("VOICEBOT_TWILIO__AUTH_TOKEN") or None
    api_token = os.environ.get("VOICEBOT_SERVER__API_TOKEN") or None
    await probe(webhook_url, auth_token, allow_remote=options.allow_remote)
    parts = urlsplit(webhook_url)
    base_url = f"{parts.scheme}://{parts.netloc}"
    schedule = Schedule(
        lines=options.calls,
        seconds=options.seconds,
        recordings=len(pool.turns),
        turns=options.turns,
        barge_in=options.barge_in,
        seed=options.seed,
    )
    before = await server_metrics.scrape(base_url, api_token)
    replay = Replay(webhook_url, schedule, pool, auth_token, show)
    measured = await run_interruptibly(replay)
    after = await server_metrics.scrape(base_url, api_token)
    run = {
        "lines": schedule.lines,
        "seconds": schedule.seconds,
        "seed": schedule.seed,
        "recordings": schedule.recordings,
        "skipped_recordings": pool.skipped,
    }
    moved = None if before is None or after is None else server_metrics.change(before, after)
    return {**measured.summary(), "run": run, "server": moved}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m load", description=(__doc__ or "").strip())
    commands = parser.add_subparsers(dest="command", required=True)
    _add_replay(commands.add_parser("replay", help="concurrent calls that replay recordings"))
    _add_frontend(commands.add_parser("frontend", help="what a call costs, without recognition"))
    return parser


def _add_replay(replay: argparse.ArgumentParser) -> None:
    replay.set_defaults(run=_run_replay)
    add = replay.add_argument
    add("--to", required=True, metavar="URL", help="server, e.g. http://127.0.0.1:8080")
    add("--calls", required=True, type=_at_least(1), metavar="N", help="calls at once")
    add("--recordings", required=True, type=Path, metavar="DIR", help="searched recursively")
    add("--seconds", required=True, type=_above_zero, metavar="S", help="length of the run")
    add("--json", action="store_true", help="print one JSON object instead of a table")
    add("--seed", type=int, default=0, help="other choices of recordings (default 0)")
    add("--turns", type=_at_least(1), default=20, help="most turns of one call (default 20)")
    add("--pool", type=_at_least(1), default=200, help="recordings to choose from (default 200)")
    add("--barge-in", type=_share, default=0.1, help="share of turns over prompts (default 0.1)")
    add("--allow-remote", action="store_true", help="the target may be another machine")


def _add_frontend(frontend: argparse.ArgumentParser) -> None:
    frontend.set_defaults(run=_run_frontend)
    add = frontend.add_argument
    calls = _at_least(1, MOST_CALLS)
    add("--calls", required=True, type=calls, metavar="N", help="calls at once")
    add("--seconds", type=_measured_s, default=20.0, metavar="S", help="measured (default 20)")
    add("--peer", type=Path, metavar="DIR", help="measure DIR/bot.py in the same way, too")
    add("--peer-calls", type=calls, metavar="N", help="its calls (default: 4 a core)")
    add("--recordings", type=Path, metavar="DIR", help="what callers say (default: synthetic)")
    add("--json", action="store_true", help="print one JSON object instead of a table")


def _at_least(least: int, most: int | None = None) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        if most is not None and int(text) > most:
            raise argparse.ArgumentTypeError(f"{text} is too many; {most} at most")
        return int(text)

    return whole


def _above_zero(text: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _measured_s(text: str) -> float:
    value = _above_zero(text)
    if value > LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text} is too long; {LONGEST_S:g} at most")
    return value


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _progress() -> Callable[[str], None]:
    """One line on stderr that is written over; nothing when nobody looks."""
    if not sys.stderr.isatty():
        return lambda line: None
    return lambda line: print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    sys.exit(main())
