"""Replicas on a Ray cluster: Ray places them, restarts them and counts their CPUs and GPUs.

Each actor keeps one `voicebot asr-serve` process on its node. Front ends connect to that process
directly (`recogniser.url=file:LIST`): no audio passes through Ray.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import structlog

from voicebot.config import Settings
from voicebot.errors import UserMistake
from voicebot.monitoring.logs import configure_logging
from voicebot.server.cluster_keeper import Keeper, ReplicaFailed
from voicebot.server.cluster_plan import Backoff, Failed, Health, Scaling

log = structlog.get_logger(__name__)

LOOK_S = 1.0
HEALTH_S = 5.0
HUNG_LOOKS = 3
"""So many looks without an answer: the actor is killed, and Ray starts it anew."""
START_S = 240.0
BACKOFF_S = 2.0, 60.0
"""After replicas that did not start: until the next is asked for, first and at most."""
DEAD_LOOKS = 2
"""An actor that Ray starts anew is told to have died once; then it cannot be had for a while."""


def keep_replicas(settings: Settings, options: argparse.Namespace) -> int:
    """`voicebot asr-serve --ray N`: until SIGTERM or Ctrl-C."""
    ray = _ray()
    configure_logging(settings.monitoring.log_level, settings.monitoring.log_format)
    token = settings.recogniser.token
    secret = token.get_secret_value() if token is not None else ""
    if options.ray_address and not secret:
        raise UserMistake(
            "asr-serve: replicas on other machines need a secret token; "
            "set VOICEBOT_RECOGNISER__TOKEN, here and where recogniser.url names them"
        )
    try:
        ray.init(
            address=options.ray_address,
            include_dashboard=False,
            log_to_driver=True,
            configure_logging=False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserMistake(
            f"asr-serve: Ray at {options.ray_address or 'this machine'}: {error}"
        ) from None
    try:
        if options.ray_address is None and _gpus(options) > ray.cluster_resources().get("GPU", 0):
            raise UserMistake(
                f"asr-serve: replicas of {_gpus(options):g} GPU each: this machine has too few; "
                "name a cluster with --ray-address, or take --device cpu"
            )
        return _until_signalled(Crew(ray, options, secret))
    finally:
        ray.shutdown()


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserMistake("asr-serve: --ray needs Ray; pip install 'voicebot[cluster]'") from None
    return ray


def _until_signalled(crew: Crew) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        while not stop.wait(LOOK_S):
            crew.look(time.monotonic())
    finally:
        crew.stop()
    return 0


def actor_class(ray: Any, cpus: float, gpus: float) -> Any:
    """A Keeper on whichever node has room, spread over nodes, restarted for ever."""

    class Replica:
        """Runs in Ray's worker; its methods are called from afar.

        The process is started by the first of them: an actor that fails while it is made is
        never made again, and does not tell why.
        """

        def __init__(self, host: str | None, arguments: list[str], token: str) -> None:
            here = host or ray.util.get_node_ip_address()
            self._arguments = ["--host", here, "--port", "0", *arguments]
            self._added = {"VOICEBOT_RECOGNISER__TOKEN": token} if token else {}
            self._keeper: Keeper | None = None

        def health(self) -> Health | Failed:
            """Where it failed, the actor must go, too."""
            try:
                if self._keeper is None:
                    self._keeper = Keeper(self._arguments, self._added)
                return self._keeper.health()
            except ReplicaFailed as failure:
                return Failed(str(failure), failure.is_mistake)

        def stop(self) -> None:
            """For good."""
            if self._keeper is not None:
                self._keeper.stop()

    return ray.remote(
        num_cpus=cpus,
        num_gpus=gpus,
        max_restarts=-1,
        scheduling_strategy="SPREAD",
    )(Replica)


class Crew:
    """The actors, as many as the load wants."""

    def __init__(self, ray: Any, options: argparse.Namespace, token: str) -> None:
        self._ray = ray
        self._host = None if options.ray_address else options.host
        self._token = token
        self._list = Path(options.list) if options.list else None
        self._arguments = _arguments(options)
        self._class = actor_class(ray, options.threads or 1, _gpus(options))
        self._scaling = Scaling(options.ray, options.ray_most or options.ray)
        self._members: list[_Member] = []
        self._backoff = Backoff(*BACKOFF_S)
        self._has_served = False
        self._told: list[str] | None = None

    @property
    def urls(self) -> list[str]:
        """Of the replicas that answer."""
        return sorted(member.health.url for member in self._members if member.health is not None)

    def look(self, now: float) -> None:
        """How all are, and what is to be done about it.

        UserMistake where what was asked for cannot be had, and no replica has ever run.
        """
        failures: list[str] = []
        for member in list(self._members):
            was_away = member.health is None
            failed = member.look(self._ray, now)
            if failed is not None:
                self._drop(member, failed)
                failures.append(failed.why)
            elif was_away and member.health is not None:
                # Not at every look: one that runs says nothing of why others do not start.
                self._has_served = True
                self._backoff.succeeded()
        if failures:
            wait = self._backoff.failed(now)  # once: they were asked for together
            for why in failures:
                log.error("replica did not start", why=why, next_in_s=wait)
        known = [member.health for member in self._members if member.health is not None]
        wanted = self._scaling.wanted(len(self._members), known, now)
        while len(self._members) < wanted and self._backoff.may_start(now):
            actor = self._class.remote(self._host, self._arguments, self._token)
            self._members.append(_Member(actor, now))
            log.info("replica asked for", replicas=len(self._members))
        if len(self._members) > wanted:
            self._dismiss()
        self._tell()

    def _drop(self, member: _Member, failed: Failed) -> None:
        """One that did not start. Ray would not try again, or would without end."""
        self._members.remove(member)
        self._ray.kill(member.actor)
        if failed.is_mistake and not self._has_served:
            raise UserMistake(failed.why)

    def stop(self) -> None:
        """All of them, each after it has drained."""
        members, self._members = self._members, []
        self._tell()
        stopping = [member.actor.stop.remote() for member in members]
        if stopping:
            self._ray.wait(stopping, num_returns=len(stopping), timeout=20)
        for member in members:
            self._ray.kill(member.actor)

    def _dismiss(self) -> None:
        """The one with the fewest calls. It leaves the list first, so that calls leave it."""
        least = min(self._members, key=lambda member: member.health.live if member.health else 0)
        self._members.remove(least)
        self._tell()
        self._ray.wait([least.actor.stop.remote()], timeout=20)
        self._ray.kill(least.actor)
        log.info("replica dismissed", replicas=len(self._members))

    def _tell(self) -> None:
        urls = self.urls
        if urls == self._told:
            return
        self._told = urls
        print(f"recogniser.url: {','.join(urls) or 'none yet'}", flush=True)
        if self._list is not None and (urls or not self._members):
            part = self._list.with_name(f"{self._list.name}.part")
            part.write_text("".join(f"{url}\n" for url in urls), encoding="utf-8")
            os.replace(part, self._list)


class _Member:
    """One actor, asked how it is one look after the other."""

    def __init__(self, actor: Any, now: float) -> None:
        self.actor = actor
        self.health: Health | None = None
        self._asked: Any = None
        self._asked_at = now
        self._begun_at = now
        self._deaths = 0

    def look(self, ray: Any, now: float) -> Failed | None:
        """Takes the answer that has come, and asks again. Failed where it will not come up."""
        if self._asked is None:
            self._asked, self._asked_at = self.actor.health.remote(), now
            return None
        done, _ = ray.wait([self._asked], timeout=0)
        if done:
            asked, self._asked = self._asked, None
            return self._take(ray, asked, now)
        if self.health is not None and now - self._asked_at > HEALTH_S * HUNG_LOOKS:
            self._restart(ray, now, "does not answer")
        elif now - self._begun_at > START_S and self.health is None:
            log.warning("a replica waits for room in the cluster, or does not start")
            self._begun_at = now
        return None

    def _take(self, ray: Any, asked: Any, now: float) -> Failed | None:
        try:
            told = ray.get(asked)
        except ray.exceptions.RayActorError as error:
            return self._died(ray, error, now)
        except ray.exceptions.RayTaskError as error:
            told = Failed(str(error).strip().rpartition("\n")[2])
        self._deaths = 0
        if isinstance(told, Health):
            self.health = told
        elif self.health is None:
            return told if isinstance(told, Failed) else Failed("told nothing")
        else:
            self._restart(ray, now, told.why)
        return None

    def _died(self, ray: Any, error: Any, now: float) -> Failed | None:
        """Ray starts it anew by itself, unless it could not even be made."""
        if self.health is not None:
            self.health, self._begun_at = None, now
            log.warning("replica lost", why="its actor died")
        if not isinstance(error, ray.exceptions.ActorUnavailableError):
            self._deaths += 1
        if self._deaths < DEAD_LOOKS and not error.actor_init_failed:
            return None
        return Failed("its actor died: " + str(error).strip().rpartition("\n")[2])

    def _restart(self, ray: Any, now: float, why: str) -> None:
        log.warning("replica lost", why=why)
        self.health, self._asked, self._begun_at = None, None, now
        self._deaths = -1  # for being killed
        ray.kill(self.actor, no_restart=False)


def _gpus(options: argparse.Namespace) -> float:
    """Of each replica: Ray shows a replica the cards that it asked for, and no other."""
    if options.ray_gpus is not None:
        return float(options.ray_gpus)
    return 1.0 if options.device == "cuda" else 0.0


def _arguments(options: argparse.Namespace) -> list[str]:
    """What each replica is told."""
    found = ["--max-streams", str(options.max_streams), "--threads", str(options.threads or 1)]
    found += ["--device", options.device] if options.device != "cpu" else []
    found += ["--chunk-ms", str(options.chunk_ms)] if options.chunk_ms else []
    return [*found, "--model", options.model] if options.model else found
