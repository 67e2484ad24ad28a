"""`voicebot asr-serve`: a recogniser process, or several of them through Ray."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import math
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voicebot.errors import UserMistake

if TYPE_CHECKING:
    from voicebot.config import Settings
    from voicebot.server.asr_serve import Replica
    from voicebot.server.terminal import Parser

HOST, PORT = "127.0.0.1", 8090
MAX_STREAMS = 64


def add(commands: Any, command: Callable[[str, Any, str], Parser]) -> None:
    """The command and its options."""
    from voicebot.server.terminal import port

    added = command("asr-serve", asr_serve, "recognise for other servers (recogniser.url)")
    added.add_argument("--host", default=HOST, metavar="ADDRESS", help=f"to listen on; {HOST}")
    added.add_argument(
        "--port", type=port, default=PORT, metavar="N", help=f"{PORT}; 0 picks a free one"
    )
    added.add_argument("--threads", type=_count, metavar="N", help="CPU threads; all cores but one")
    added.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="`telephone`, a checkpoint, a pulled FastConformer, a .nemo file or a folder of one",
    )
    added.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda or cuda:N; cpu")
    added.add_argument(
        "--chunk-ms", type=_count, metavar="C", help="of a FastConformer: audio of a step; 160"
    )
    added.add_argument(
        "--max-streams",
        type=_count,
        default=MAX_STREAMS,
        metavar="N",
        help=f"calls at once; {MAX_STREAMS}",
    )
    added.add_argument(
        "--ray", type=_count, metavar="N", help="keep N replicas running on a Ray cluster"
    )
    added.add_argument(
        "--ray-most", type=_count, metavar="N", help="with --ray: up to N while they are busy"
    )
    added.add_argument(
        "--ray-address", metavar="ADDRESS", help="with --ray: of the cluster; without: this machine"
    )
    added.add_argument(
        "--ray-gpus",
        type=_gpus,
        metavar="SHARE",
        help="with --ray: GPUs of each replica; 1 with --device cuda, else 0",
    )
    added.add_argument(
        "--list", metavar="FILE", help="with --ray: keep the replicas' URLs there (file:FILE)"
    )


def asr_serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from voicebot.config import load_settings

    settings = load_settings()
    token = settings.recogniser.token
    secret = token.get_secret_value() if token is not None else ""
    if not secret and not _is_loopback(options.host):
        raise UserMistake(
            f"asr-serve: --host {options.host} can be reached by others; set a secret token in "
            "VOICEBOT_RECOGNISER__TOKEN, here and where recogniser.url names this replica"
        )
    if options.ray is not None:
        _check_device_of_replicas(options)
        from voicebot.server.cluster import keep_replicas

        return keep_replicas(settings, options)
    for name in ("ray_most", "ray_address", "ray_gpus", "list"):
        if getattr(options, name) is not None:
            raise UserMistake(f"asr-serve: --{name.replace('_', '-')} needs --ray N")
    return _serve(settings, options, secret)


def _check_device_of_replicas(options: argparse.Namespace) -> None:
    if options.device.startswith("cuda:"):
        raise UserMistake(
            f"asr-serve: --device {options.device} with --ray: Ray chooses the card of each "
            "replica; take --device cuda"
        )
    if options.device == "cuda" and options.ray_gpus == 0:
        raise UserMistake(
            "asr-serve: --device cuda needs a card: give --ray-gpus 1, a share of one, or nothing"
        )


def _serve(settings: Settings, options: argparse.Namespace, token: str) -> int:
    import asyncio

    from voicebot.monitoring.logs import configure_logging
    from voicebot.server.memory import keep_memory_flat
    from voicebot.server.serving import _loop_factory, bind

    keep_memory_flat()
    configure_logging(
        settings.monitoring.log_level,
        settings.monitoring.log_format,
        log_personal_data=settings.monitoring.log_personal_data,
    )
    with contextlib.closing(bind(options.host, options.port)) as bound:
        # Bound before it loads: a port in use is told at once.
        if sys.stderr is not None and sys.stderr.isatty():
            print("loading the recogniser ...", file=sys.stderr)
        replica = make_replica(settings, options, token)
        from voicebot.server.asr_serve import serve_until_signalled

        port = bound.getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host

        def announce() -> None:
            print(f"recognising on ws://{host}:{port}", flush=True)

        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return _ended(runner.run(serve_until_signalled(replica, bound, announce)))


def _ended(code: int) -> int:
    """A thread that waits for a lost device may never return, nor may the device's own ending."""
    from voicebot.server.asr_serve import DEVICE_LOST

    if code == DEVICE_LOST:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)
    return code


def make_replica(settings: Settings, options: argparse.Namespace, token: str) -> Replica:
    """Everything loaded; ModelUnavailable where it cannot be."""
    from voicebot.monitoring.metrics import Metrics
    from voicebot.server.asr_serve import Replica
    from voicebot.server.asr_serve_models import Wanted, make_engine

    metrics = Metrics()
    wanted = Wanted(
        options.model, options.device, options.max_streams, options.chunk_ms, options.threads
    )
    engine, streams = make_engine(settings, wanted, metrics)
    return Replica(engine, streams, metrics, token)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _gpus(text: str) -> float:
    """Ray shares a card, but several only as wholes."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 <= value <= 64 and (value <= 1 or value.is_integer())):
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to 1, nor a number of GPUs")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100_000):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)
