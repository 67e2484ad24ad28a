"""A call as it is printed: when things happened."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from voicebot.events import NoInput
from voicebot.server.live_print import LivePrint
from voicebot.telephony.call_events import KeySent

pytestmark = pytest.mark.unit


def test_what_the_server_does_is_printed_with_the_time_it_happens() -> None:
    clock = iter([100.0, 101.5])
    out = io.StringIO()
    live = LivePrint(Console(file=out), clock=lambda: next(clock))
    live.inside(NoInput(0))  # nothing has come over the line yet
    live.wire(KeySent(5.0, "1"))
    live.inside(NoInput(0))
    assert [line.split(" s ")[0].strip() for line in out.getvalue().splitlines()] == [
        "0.00",
        "5.00",
        "6.50",
    ]
