"""`hearing.device`: who hears when the device is there, full, broken, or was never there."""

from collections.abc import Callable

import pytest

from voicebot.config import load_settings
from voicebot.engine.ears import make_runner
from voicebot.engine.hearing_device import build
from voicebot.engine.hearing_device.hearing import DeviceHearing
from voicebot.engine.hearing_rooms import Unwatched
from voicebot.engine.runner import Chunk, Runner
from voicebot.engine.spotting import EncoderSpotter
from voicebot.errors import CapacityError, DeviceLost, SettingsError, UserMistake
from voicebot.monitoring.metrics import Metrics
from voicebot.server.answering import _make_runner
from voicebot.turns.hotword_head import HotWordHead

pytestmark = pytest.mark.unit


class Watch(Unwatched):
    def __init__(self, on_lost: Callable[[str], object]) -> None:
        self._on_lost = on_lost

    def lost(self, why: str) -> None:
        self._on_lost(why)


def runner(on_lost: Callable[[str], object]) -> Runner:
    settings = load_settings(
        hearing={"device": "cuda"}, server={"max_calls": 2}, turns={"inband_dtmf": True}
    )
    return _make_runner(settings, None, EncoderSpotter(HotWordHead.load()), Watch(on_lost))


def test_a_device_that_is_there_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    named = build.device_named
    monkeypatch.setattr(build, "device_named", lambda name, where: named("cpu", where))
    made = runner(pytest.fail)
    assert isinstance(made.hearing, DeviceHearing)
    assert made.hearing.is_on_device
    assert made.hearing._judge is not None
    made.reset(0)
    for number in range(4):
        made.hear([Chunk(0, number * 160, b"\x20" * 160)])
    assert len(made.span(0, 0, 10_000)) == 640


@pytest.mark.parametrize(
    "error", [CapacityError("no memory to hear 2 calls", why="memory"), DeviceLost("it fails")]
)
def test_one_that_cannot_be_had_leaves_the_cpu_and_says_so(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(build, "make_machine", fails)
    told: list[str] = []
    made = runner(told.append)
    assert isinstance(made.hearing, DeviceHearing)
    assert (made.hearing.is_on_device, made.hearing.places) == (False, 2)
    assert told == [str(error)]
    made.reset(0)
    (window,) = made.hear([Chunk(0, 0, b"\x20" * 320)])
    assert window.at == 0
    with pytest.raises(type(error)):  # where nobody is told, as by `voicebot doctor`
        make_runner(2, None, device="cuda")


def test_one_that_was_never_there_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(UserMistake, match=r"settings: hearing\.device: there is no device cuda"):
        runner(pytest.fail)
    with pytest.raises(SettingsError, match=r"hearing\.device.*VOICEBOT_HEARING__DEVICE"):
        load_settings(hearing={"device": "abacus"})


def test_metrics_tell_of_the_loss() -> None:
    metrics = Metrics()
    assert b"voicebot_hearing_device_lost 0.0" in metrics.render()
    metrics.hearing_device_lost()
    assert b"voicebot_hearing_device_lost 1.0" in metrics.render()
