"""Two real recogniser processes on loopback, and one of them killed in the middle of a word."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from devices import DEVICES
from fakes import LoudnessVad
from prometheus_client import CollectorRegistry
from server.replicas import Caller, eventually

from voicebot.engine.runner import Runner
from voicebot.engine.scheduler import JobKind
from voicebot.events import Expectation
from voicebot.monitoring.recogniser_metrics import FrontEndMetrics
from voicebot.server.asr_serve_client import RemoteEngine
from voicebot.server.cluster_keeper import Keeper, ReplicaFailed
from voicebot.server.cluster_plan import Health

pytestmark = pytest.mark.e2e

TOKEN = "a-secret-of-this-test"
CHUNK = 160


@pytest.fixture(params=DEVICES)
async def processes(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, Keeper]]:
    """Two of them, by URL, as a cluster's actors keep them."""
    monkeypatch.chdir(tmp_path)
    added = {
        "VOICEBOT_RECOGNISER__TOKEN": TOKEN,
        "VOICEBOT_ASR__CACHE_DIR": os.environ.get("VOICEBOT_ASR__CACHE_DIR", str(tmp_path)),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),  # also where it is not installed
    }
    arguments = ["--port", "0", "--threads", "1", "--max-streams", "3"]
    arguments += ["--device", str(request.param)]
    starting = [asyncio.to_thread(Keeper, arguments, added) for _ in range(2)]
    keepers = await asyncio.gather(*starting)
    try:
        yield {keeper.url: keeper for keeper in keepers}
    finally:
        for keeper in keepers:
            await asyncio.to_thread(keeper.stop)


def speech() -> bytes:
    from voicebot.speech.telephone import to_telephone
    from voicebot.speech.voices import EspeakVoice

    text = "I would like to transfer two hundred dollars to my savings account."
    return to_telephone(text, EspeakVoice().render(text)).mulaw


async def test_a_replica_killed_in_the_middle_of_a_word_costs_no_word(
    processes: dict[str, Keeper],
) -> None:
    said = speech()
    registry = CollectorRegistry()
    engine = RemoteEngine(
        Runner(2, LoudnessVad(), None),  # type: ignore[arg-type]
        slots=2,
        urls=list(processes),
        token=TOKEN,
        counts=FrontEndMetrics(registry),
        has_local=False,
    )
    engine.start()
    assert await engine.connect()
    await eventually(lambda: all(link.is_connected for link in engine._links))
    try:
        whole = await undisturbed(engine, said)
        assert len(whole.split()) > 8
        assert await killed_at_half(engine, said, processes) == whole
        await told_by_keepers(processes)
    finally:
        await engine.close()
    count = registry.get_sample_value
    assert count("voicebot_recogniser_moves_total") == 1
    # A call that finds no replica for 1.5 s is answered without: this one found it sooner.
    assert not count("voicebot_recogniser_fallbacks_total", {"to": "keys"})
    assert count("voicebot_recogniser_resume_seconds_count") == 1


async def told_by_keepers(processes: dict[str, Keeper]) -> None:
    """One has ended; the other has no call left and room for three."""
    told: list[Health | ReplicaFailed] = []
    for keeper in processes.values():
        try:
            told.append(await asyncio.to_thread(keeper.health))
        except ReplicaFailed as failed:
            told.append(failed)
    (alive,) = [health for health in told if isinstance(health, Health)]
    assert (alive.capacity, alive.is_full) == (3, False)
    assert [str(t) for t in told if not isinstance(t, Health)] == ["asr-serve ended with code -9"]


async def undisturbed(engine: RemoteEngine, said: bytes) -> str:
    caller = Caller()
    handle = engine.open_call(caller)
    for at in range(0, len(said), CHUNK):
        engine.push(handle, at, said[at : at + CHUNK])
    await caller.heard(len(said))
    engine.recognise(handle, 1, JobKind.FINAL, 0, len(said), expectation=Expectation("here"))
    text = await caller.answer()
    engine.release(handle)
    return text


async def killed_at_half(engine: RemoteEngine, said: bytes, processes: dict[str, Keeper]) -> str:
    caller = Caller()
    handle = engine.open_call(caller)
    half = len(said) // 2 // CHUNK * CHUNK
    for at in range(0, half, CHUNK):
        engine.push(handle, at, said[at : at + CHUNK])
    await caller.heard(half)
    engine.recognise(handle, 1, JobKind.PARTIAL, 0, half)
    assert await caller.answer()  # the replica has heard half of it
    link = engine._calls[handle.slot].link
    assert link is not None
    os.kill(processes[link.url].pid, signal.SIGKILL)
    for at in range(half, len(said), CHUNK):
        engine.push(handle, at, said[at : at + CHUNK])
    await caller.heard(len(said))
    engine.recognise(handle, 1, JobKind.FINAL, 0, len(said), expectation=Expectation("here"))
    text = await caller.answer()
    engine.release(handle)
    return text
