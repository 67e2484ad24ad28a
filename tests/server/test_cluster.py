"""Replicas kept by actors: with a stand-in for Ray, and with Ray where it is installed."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from voicebot.cli import main
from voicebot.errors import UserMistake
from voicebot.server.cluster import BACKOFF_S, HEALTH_S, HUNG_LOOKS, Crew
from voicebot.server.cluster_keeper import Keeper, ReplicaFailed
from voicebot.server.cluster_plan import IDLE_S, Failed, Health

pytestmark = pytest.mark.pipeline

LONG = pytest.mark.skipif(
    "VOICEBOT_TEST_RAY" not in os.environ,
    reason="half a minute of Ray and models; set VOICEBOT_TEST_RAY",
)
"""A cluster starts in a few seconds, where the extra `cluster` is installed; replicas do not."""


class ActorError(Exception):
    """ray.exceptions.RayActorError."""

    actor_init_failed = False


class ActorDied(ActorError):
    """ActorDiedError: also of one that is started anew."""


class ActorUnavailable(ActorError):
    """ActorUnavailableError: while it is."""


class TaskFailed(Exception):
    """ray.exceptions.RayTaskError."""


class Actor:
    """What a handle of an actor does, as a test tells it to."""

    def __init__(self, number: int, arguments: tuple[object, ...]) -> None:
        self.arguments = arguments
        self.answer: Health | Failed | Exception | None = Health(f"ws://10.0.0.{number}:1", 0, 10)
        self.is_stopped = False
        self.kills: list[bool] = []
        self.health = SimpleNamespace(remote=lambda: self)
        self.stop = SimpleNamespace(remote=self._stop)

    def _stop(self) -> Actor:
        self.is_stopped = True
        return self


class StandIn:
    """As much of Ray's interface as the crew uses; Ray itself is tested below."""

    exceptions = SimpleNamespace(
        RayActorError=ActorError, ActorUnavailableError=ActorUnavailable, RayTaskError=TaskFailed
    )

    def __init__(self) -> None:
        self.actors: list[Actor] = []
        self.options: dict[str, object] = {}

    def remote(self, **options: object) -> Any:
        self.options = options

        def make(*arguments: object) -> Actor:
            self.actors.append(Actor(len(self.actors) + 1, arguments))
            return self.actors[-1]

        return lambda _: SimpleNamespace(remote=make)

    def wait(self, asked: list[Actor], **_: object) -> tuple[list[Actor], list[Actor]]:
        return [a for a in asked if a.answer is not None or a.is_stopped], []

    def get(self, asked: Actor) -> Health | Failed:
        if isinstance(asked.answer, Exception):
            raise asked.answer
        assert asked.answer is not None
        return asked.answer

    def kill(self, actor: Actor, *, no_restart: bool = True) -> None:
        actor.kills.append(no_restart)


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(
        ray=2, ray_most=3, ray_address=None, ray_gpus=0.5, host="127.0.0.1", threads=2,
        max_streams=10, model="shipped", list=str(tmp_path / "list"), device="cuda", chunk_ms=320,
    )  # fmt: skip


def looks(crew: Crew, since: float, count: int = 2) -> None:
    for second in range(count):
        crew.look(since + second)


def test_replicas_are_placed_listed_and_told_what_to_do(
    options: argparse.Namespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ray = StandIn()
    crew = Crew(ray, options, "secret")
    looks(crew, 0.0, 3)
    assert ray.options == {
        "num_cpus": 2, "num_gpus": 0.5, "max_restarts": -1, "scheduling_strategy": "SPREAD",
    }  # fmt: skip
    assert [actor.arguments for actor in ray.actors] == [
        (
            "127.0.0.1",
            [
                "--max-streams",
                "10",
                "--threads",
                "2",
                "--device",
                "cuda",
                "--chunk-ms",
                "320",
                "--model",
                "shipped",
            ],
            "secret",
        )
    ] * 2
    assert (tmp_path / "list").read_text() == "ws://10.0.0.1:1\nws://10.0.0.2:1\n"
    printed = capsys.readouterr().out
    assert "recogniser.url: ws://10.0.0.1:1,ws://10.0.0.2:1" in printed
    assert "secret" not in printed
    crew.stop()
    assert all(actor.is_stopped and actor.kills == [True] for actor in ray.actors)
    assert (tmp_path / "list").read_text() == ""


def test_one_that_died_failed_or_hangs_leaves_the_list_and_is_started_anew(
    options: argparse.Namespace, tmp_path: Path
) -> None:
    ray = StandIn()
    crew = Crew(ray, options, "")
    looks(crew, 0.0, 3)
    first = ray.actors[0]
    second_only = ["ws://10.0.0.2:1"]

    first.answer = ActorDied()  # Ray starts it anew by itself
    looks(crew, 10.0)
    assert (crew.urls, first.kills) == (second_only, [])
    first.answer = Health("ws://10.0.0.1:2", 0, 10)
    looks(crew, 20.0)
    assert crew.urls == ["ws://10.0.0.1:2", *second_only]

    first.answer = Failed("ended with code 75")  # the process in it is gone
    looks(crew, 30.0)
    assert (crew.urls, first.kills) == (second_only, [False])
    first.answer = Health("ws://10.0.0.1:3", 0, 10)
    looks(crew, 40.0)

    first.answer = None  # it hangs
    looks(crew, 50.0)
    assert len(crew.urls) == 2
    crew.look(52.0 + HEALTH_S * HUNG_LOOKS)
    assert (crew.urls, first.kills) == (second_only, [False, False])
    assert (tmp_path / "list").read_text() == "ws://10.0.0.2:1\n"
    assert len(ray.actors) == 2


@pytest.mark.parametrize(
    "told", [Failed("did not start (exit code 1): no memory"), TaskFailed("no such module")]
)
def test_one_that_never_starts_is_told_once_a_try_and_others_are_tried(
    options: argparse.Namespace, told: Failed | Exception
) -> None:
    options.ray = 1
    ray = StandIn()
    crew = Crew(ray, options, "")
    crew.look(0.0)
    for second in range(1, 1201):
        for actor in ray.actors:
            actor.answer = told
        with capture_logs() as logged:
            crew.look(float(second))
        assert len(logged) <= 2
        for entry in logged:
            assert entry["event"] in {"replica did not start", "replica asked for"}
    assert 1200 / (BACKOFF_S[1] + 3) < len(ray.actors) < 1200 / BACKOFF_S[1] + 8
    assert [actor.kills for actor in ray.actors[:-1]] == [[True]] * (len(ray.actors) - 1)
    while ray.actors[-1].kills:
        crew.look(second := second + 1.0)
    looks(crew, second + 1.0, 3)
    assert crew.urls == [ray.actors[-1].answer.url]  # type: ignore[union-attr]


@pytest.mark.parametrize("broken", [slice(1, None), slice(None)], ids=["one", "both"])
def test_the_wait_grows_though_another_runs_and_once_for_those_that_fail_together(
    options: argparse.Namespace, broken: slice
) -> None:
    ray = StandIn()
    crew = Crew(ray, options, "")
    waits: list[float] = []
    for second in range(400):
        for actor in ray.actors[broken]:
            actor.answer = Failed("did not start (exit code 1): no memory")
        with capture_logs() as logged:
            crew.look(float(second))
        waits += {entry["next_in_s"] for entry in logged if "next_in_s" in entry}
    assert waits == [min(2**n * BACKOFF_S[0], BACKOFF_S[1]) for n in range(len(waits))]
    assert 400 / (BACKOFF_S[1] + 3) < len(waits) < 400 / BACKOFF_S[1] + 6
    last = ray.actors[-1]
    while last.kills:
        crew.look(second := second + 1.0)
        last = ray.actors[-1]
    looks(crew, second + 1.0, 3)
    assert last.answer.url in crew.urls  # type: ignore[union-attr]
    for actor in ray.actors[-2:]:
        actor.answer = ActorDied()
    with capture_logs() as logged:
        looks(crew, second + 10.0, 4)
    assert {e["next_in_s"] for e in logged if "next_in_s" in e} == {BACKOFF_S[0]}, "one has run"


def test_an_actor_that_cannot_be_made_is_replaced(options: argparse.Namespace) -> None:
    """Ray never makes one again whose constructor failed, whatever max_restarts says."""
    ray = StandIn()
    crew = Crew(ray, options, "")
    crew.look(0.0)
    broken = ActorDied("The actor died:\nModuleNotFoundError: No module named 'voicebot'")
    broken.actor_init_failed = True
    ray.actors[0].answer = broken
    with capture_logs() as logged:
        looks(crew, 1.0, 4)
    assert [entry["why"] for entry in logged if "why" in entry] == [
        "its actor died: ModuleNotFoundError: No module named 'voicebot'"
    ]
    assert ray.actors[0].kills == [True]
    looks(crew, 5.0 + BACKOFF_S[0], 3)
    assert crew.urls == ["ws://10.0.0.2:1", "ws://10.0.0.3:1"]


def test_one_that_is_away_for_long_stays_and_one_that_is_dead_goes(
    options: argparse.Namespace,
) -> None:
    ray = StandIn()
    crew = Crew(ray, options, "")
    looks(crew, 0.0, 3)
    first = ray.actors[0]
    for answer in (ActorDied(), *[ActorUnavailable()] * 5):
        first.answer = answer
        looks(crew, 10.0)
    assert (first.kills, len(ray.actors)) == ([], 2)
    first.answer = ActorDied()
    looks(crew, 30.0)
    assert first.kills == [True]


def test_what_is_not_there_ends_the_supervisor_with_its_line_unless_some_have_run(
    options: argparse.Namespace,
) -> None:
    ray = StandIn()
    crew = Crew(ray, options, "")
    crew.look(0.0)
    ray.actors[0].answer = Failed("asr-serve: there is no device cuda", is_mistake=True)
    with pytest.raises(UserMistake, match=r"^asr-serve: there is no device cuda$"):
        looks(crew, 1.0)

    ray = StandIn()
    crew = Crew(ray, options, "")
    looks(crew, 0.0, 3)
    first = ray.actors[0]
    first.answer = Failed("ended with code 75")
    looks(crew, 10.0)
    first.answer = Failed("asr-serve: there is no device cuda", is_mistake=True)
    looks(crew, 20.0)
    assert (first.kills, crew.urls) == ([False, True], ["ws://10.0.0.2:1"])


@pytest.mark.parametrize(
    ("device", "share", "gpus"),
    [("cuda", None, 1.0), ("cuda", 0.25, 0.25), ("cpu", None, 0.0), ("cpu", 1.0, 1.0)],
)
def test_a_replica_on_a_gpu_asks_ray_for_one(
    options: argparse.Namespace, device: str, share: float | None, gpus: float
) -> None:
    options.device, options.ray_gpus = device, share
    ray = StandIn()
    Crew(ray, options, "")
    assert ray.options["num_gpus"] == gpus


def test_a_busy_crew_grows_and_an_idle_one_lets_the_idlest_go(options: argparse.Namespace) -> None:
    ray = StandIn()
    crew = Crew(ray, options, "")
    looks(crew, 0.0, 3)
    for number, actor in enumerate(ray.actors, 1):
        actor.answer = Health(f"ws://10.0.0.{number}:1", 9, 10)
    looks(crew, 10.0, 6)
    assert len(ray.actors) == 3  # no more than three
    for number, actor in enumerate(ray.actors, 1):
        actor.answer = Health(f"ws://10.0.0.{number}:1", 3 - number, 10)
    looks(crew, 20.0, 3)
    looks(crew, 30.0 + IDLE_S, 6)
    assert [actor.is_stopped for actor in ray.actors] == [False, False, True]
    assert len(crew.urls) == 2


def test_a_process_that_does_not_start_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReplicaFailed, match="nobody") as failed:
        Keeper(["--port", "0", "--model", "nobody"])
    assert failed.value.is_mistake
    assert "\n" not in str(failed.value)
    assert not str(failed.value).startswith("voicebot:")
    package = tmp_path / "elsewhere" / "voicebot"
    package.mkdir(parents=True)
    (package / "cli.py").write_text("raise RuntimeError('no memory')\n")
    (package / "__init__.py").touch()
    with pytest.raises(ReplicaFailed, match=r"did not start \(exit code 1\): .*memory") as failed:
        Keeper(["--port", "0"], {"PYTHONPATH": str(package.parent)})
    assert not failed.value.is_mistake


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "VOICEBOT_RECOGNISER__TOKEN"),
        (["--port", "70000"], "70000"),
        (["--max-streams", "0"], "whole number"),
        (["--list", "x"], "--list needs --ray"),
        (["--ray-gpus", "1"], "--ray-gpus needs --ray"),
        (["--ray", "1", "--ray-gpus", "nan"], "'nan' is no share"),
        (["--ray", "1", "--ray-gpus", "inf"], "'inf' is no share"),
        (["--ray", "1", "--ray-gpus", "-1"], "'-1' is no share"),
        (["--ray", "1", "--ray-gpus", "1.5"], "'1.5' is no share"),
        (["--ray", "1", "--device", "cuda:1"], "Ray chooses the card"),
        (["--ray", "1", "--device", "cuda", "--ray-gpus", "0"], "needs a card"),
        (["--model", "nobody"], "nobody"),
    ],
)
def test_mistakes_of_asr_serve(
    arguments: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code: object = main(["asr-serve", "--port", "0", *arguments])
    except SystemExit as left:
        code = left.code
    error = capsys.readouterr().err
    assert code == 2
    assert told in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(
            ["--model", "nobody"],
            "voicebot: nobody: is neither a file nor a known name",
            marks=LONG,
        ),
        (["--device", "cuda"], "this machine has too few"),
    ],
)
@pytest.mark.e2e
@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray (the extra `cluster`)")
def test_the_supervisor_ends_with_what_its_first_replica_said(
    arguments: list[str], told: str, tmp_path: Path
) -> None:
    import subprocess
    import sys

    environment = {
        **os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "CUDA_VISIBLE_DEVICES": ""
    }  # fmt: skip
    command = [sys.executable, "-m", "voicebot.cli", "asr-serve", "--ray", "1", *arguments]
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert ended.returncode == 2
    assert told in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr


@pytest.mark.e2e
@LONG
def test_ray_restarts_a_replica_whose_process_was_killed(
    options: argparse.Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal
    import subprocess
    import sys
    import time

    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    listed = tmp_path / "list"
    arguments = ["asr-serve", "--ray", "1", "--threads", "1", "--list", str(listed)]
    command = [sys.executable, "-m", "voicebot.cli", *arguments]

    def await_replica(other_than: str) -> str:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            text = listed.read_text() if listed.exists() else ""
            if text and text != other_than:
                return text
            time.sleep(0.2)
        raise AssertionError("no replica came")

    with subprocess.Popen(command, env=environment) as supervisor:
        try:
            first = await_replica("")
            port = first.strip().rpartition(":")[2]
            sockets = subprocess.check_output(["ss", "-Hltnp", f"sport = :{port}"], text=True)
            os.kill(int(sockets.partition("pid=")[2].partition(",")[0]), signal.SIGKILL)
            assert await_replica(first)
        finally:
            supervisor.send_signal(signal.SIGTERM)
            assert supervisor.wait(60) == 0
