"""A server whose `hearing.device` is lost amid calls: what its callers and operators learn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from voicebot.config import load_settings
from voicebot.engine.hearing_device import build
from voicebot.engine.hearing_device.machine import Heard, Machine, Step
from voicebot.engine.hearing_device.shedding import Shedding
from voicebot.errors import DeviceLost
from voicebot.monitoring.metrics import Metrics
from voicebot.server.admission import Admission
from voicebot.server.hearing_watch import HearingWatch
from voicebot.server.placing import place
from voicebot.telephony.simulator import CallerTurn

PLAN = """\
name: Keys and words
timeouts: {digits: 300ms, incomplete: 300ms}
forms:
  card:
    fields:
      card: {type: digits, length: 4, prompt: "Card?", nomatch: Use keys.}
    filled:
      - disconnect: {outcome: entered, goal: true}
"""
KEYS_ONLY = "I cannot understand speech at the moment."


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that fails after half a second of audio, and a CPU that has time for nobody."""
    named, step = build.device_named, Machine.step
    steps = 0

    def fails(self: Machine, what: Step) -> Heard:
        nonlocal steps
        steps += 1
        if steps > 25:
            raise DeviceLost("an illegal memory access was encountered")
        return step(self, what)

    monkeypatch.setattr(build, "device_named", lambda name, where: named("cpu", where))
    monkeypatch.setattr(Machine, "step", fails)
    monkeypatch.setattr(Shedding, "places", property(lambda self: 0))


@pytest.mark.e2e
async def test_a_call_beyond_the_cpu_goes_on_by_keys(lost: None, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    settings = load_settings(
        _env_file=None,
        asr={"service": "none", "cache_dir": tmp_path},
        hearing={"device": "cuda"},
        server={"max_calls": 2},
        store={"journal": tmp_path / "journal.sqlite"},
    )
    turns = [CallerTurn(audio=b"\xff" * 160, label="nothing"), CallerTurn(keys="1234")]
    report = await place(settings, plan=plan, turns=turns)
    assert report.outcome == "entered"
    assert dict(report.slots) == {"card": "1234"}
    said = " ".join(turn["bot"] for turn in report.turns)
    assert said.count(KEYS_ONLY) == 1


@pytest.mark.unit
def test_new_calls_are_refused_while_there_is_no_room_and_live_ones_stay() -> None:
    places: int | None = None
    admission = Admission(3, places=lambda: places)
    for name in ("a", "b"):
        token = admission.issue(name, {}, 0.0)
        assert token is not None
        admission.redeem(token, name, 0.0)
    places = 1
    assert admission.issue("c", {}, 1.0) is None
    assert admission.live == 2
    admission.release("a")
    assert admission.issue("c", {}, 1.0) is None
    admission.release("b")
    assert admission.issue("c", {}, 1.0) is not None
    places = None
    assert admission.issue("d", {}, 1.0) is not None
    places = 100
    assert admission.issue("e", {}, 1.0) is not None
    assert admission.issue("f", {}, 1.0) is None, "the settings bound it, too"


@pytest.mark.unit
def test_metrics_tell_of_loss_and_return_and_of_who_is_not_heard() -> None:
    metrics = Metrics()
    watch = HearingWatch(metrics)

    def shown() -> tuple[float | None, float | None]:
        value = metrics.registry.get_sample_value
        return value("voicebot_hearing_device_lost"), value("voicebot_hearing_deaf_calls")

    assert (shown(), watch.places) == ((0, 0), None)
    hearing = SimpleNamespace(deaf_calls=0, places=91)
    watch.follow(hearing)  # type: ignore[arg-type]
    watch.lost("it fails")
    watch.shed(900, 91)
    hearing.deaf_calls = 900
    assert (shown(), watch.places) == ((1, 900), 91)
    hearing.deaf_calls = 3  # most of them have hung up, of which nobody is told
    assert shown() == (1, 3)
    hearing.deaf_calls = 0
    watch.back()
    assert shown() == (0, 0)
