"""A server under test as a child process: started, watched through Linux, always ended."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from load.errors import LoadMistake, ServerFailed

DRAIN_S, STOP_S = 0.5, 10.0
"""After the first SIGTERM, and after the second before SIGKILL."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOOK_S = 0.1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_SHOWN_CHARS = 300


def require_linux() -> None:
    """LoadMistake elsewhere: only Linux tells CPU time and memory of another process so."""
    if sys.platform != "linux":
        raise LoadMistake(
            "frontend: needs Linux: it reads the server's CPU time and memory from its /proc"
        )


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """A child in a process group of its own; use as a context manager."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        """`log` takes what it prints."""
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  # the caller's own command
                list(command),
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; it is told by `stop`
                preexec_fn=_die_with(os.getpid()),  # no threads of ours yet
            )
        self.pid = self._process.pid

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether it has not exited."""
        return self._process.poll() is None

    async def wait_ready(self, url: str, timeout_s: float, *, any_status: bool = False) -> None:
        """Until `url` answers 200 (`any_status`: answers at all); ServerFailed when it does not."""
        until = time.monotonic() + timeout_s
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
            while time.monotonic() < until:
                if not self.is_running:
                    raise ServerFailed(f"the server ended at its start: {self.last_words()}")
                try:
                    response = await http.get(url)
                    if any_status or response.status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(_LOOK_S)
        raise ServerFailed(f"the server did not answer {url} within {timeout_s:g} s")

    def last_words(self) -> str:
        """The last line that it printed."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip()[:_SHOWN_CHARS] if lines else "it said nothing"

    def cpu_s(self) -> float:
        """CPU seconds of all its threads so far, those that ended among them."""
        clock = ctypes.c_int()
        self._check()
        if ctypes.CDLL(None).clock_getcpuclockid(self.pid, ctypes.byref(clock)) != 0:
            raise self._ended()
        try:
            return time.clock_gettime(clock.value)
        except OSError:
            raise self._ended() from None

    def rss_bytes(self) -> int:
        """Its resident memory."""
        self._check()
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            raise self._ended() from None

    def _check(self) -> None:
        if not self.is_running:
            raise self._ended()

    def _ended(self) -> ServerFailed:
        return ServerFailed(f"the server ended during the run: {self.last_words()}")

    def stop(self) -> None:
        """Ends it and what it started: asked twice (voicebot drains at the first), then killed."""
        try:
            for patience_s in (DRAIN_S, STOP_S):
                self._signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience_s)
                    break
        finally:
            self._signal(signal.SIGKILL)  # whatever is left of the group
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _die_with(parent: int) -> Callable[[], None]:
    """For the child: to be killed when we are, however that happens."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it happened already

    return prepare
