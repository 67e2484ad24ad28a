"""Keeps one `voicebot asr-serve` process: starts it, asks how it is, ends it.

It is what runs inside a Ray actor, and knows nothing of Ray: front ends speak to the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence

from voicebot.errors import VoicebotError
from voicebot.server.cluster_plan import Health

START_S = 180.0
HEALTH_S = 2.0
STOP_S = 15.0
"""A replica sends its calls elsewhere before it ends."""
_PARENT_DIED = 1  # prctl's PR_SET_PDEATHSIG
_GAUGE = re.compile(r"^voicebot_replica_(streams|capacity) (\S+)$", re.MULTILINE)


MISTAKE = 2
"""Exit code of a process that was asked for something that there is not."""


class ReplicaFailed(VoicebotError):
    """The process did not start, or ended.

    `is_mistake`: of whoever asked for it, as its message says; to try again does not help.
    """

    retryable = True

    def __init__(self, why: str, *, is_mistake: bool = False) -> None:
        super().__init__(why)
        self.is_mistake = is_mistake


class Keeper:
    """One process."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """`arguments` of asr-serve; `environment` is added to this process's (the token).

        ReplicaFailed, with what it said, when it does not come up.
        """
        self._token = (environment or {}).get("VOICEBOT_RECOGNISER__TOKEN", "")
        self._process = subprocess.Popen(  # noqa: S603  # our own command
            [sys.executable, "-m", "voicebot.cli", "asr-serve", *arguments],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        self._last = ""
        self._telling = threading.Thread(target=self._tell, daemon=True)
        self._telling.start()
        self.url = self._started()

    def _tell(self) -> None:
        """Its log is ours; its last line says why it ended."""
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._last = line.strip() or self._last
                with contextlib.suppress(OSError, ValueError):
                    sys.stderr.write(line)
                    sys.stderr.flush()

    def _started(self) -> str:
        assert self._process.stdout is not None
        deadline = threading.Timer(START_S, self._process.kill)
        deadline.start()
        try:
            line = self._process.stdout.readline()
        finally:
            deadline.cancel()
        if " on ws://" not in line:
            if not line:  # it is about to end, with a code that says why
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(STOP_S)
            self._process.kill()
            code = self._process.wait()
            self._process.stdout.close()
            self._telling.join(STOP_S)
            if code == MISTAKE:
                raise ReplicaFailed(self._last.removeprefix("voicebot: "), is_mistake=True)
            raise ReplicaFailed(
                f"asr-serve did not start (exit code {code}): {self._last or 'see its log'}"
            )
        return line.strip().rpartition(" ")[2]

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def health(self) -> Health:
        """How it is; ReplicaFailed when it has ended or does not answer."""
        if (code := self._process.poll()) is not None:
            raise ReplicaFailed(f"asr-serve ended with code {code}")
        try:
            figures = dict(_GAUGE.findall(self._get("/metrics")))
            with contextlib.suppress(urllib.error.HTTPError):
                ready = self._get("/readyz")
                return self._health(figures, is_full=ready.strip() != "open")
            return self._health(figures, is_full=True)  # 503
        except (OSError, ValueError) as error:
            raise ReplicaFailed(f"asr-serve does not answer: {error}") from None

    def _health(self, figures: Mapping[str, str], *, is_full: bool) -> Health:
        live, capacity = (int(float(figures.get(name, 0))) for name in ("streams", "capacity"))
        return Health(self.url, live, capacity, is_full)

    def _get(self, path: str) -> str:
        url = "http://" + self.url.removeprefix("ws://") + path
        asking = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(asking, timeout=HEALTH_S) as answer:  # noqa: S310  # http, ours
            text: str = answer.read().decode()
            return text

    def stop(self) -> None:
        """Let it drain, then end it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _end_with_parent() -> None:
    """In the child: when the actor is killed, the process goes, too."""
    ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGTERM)
