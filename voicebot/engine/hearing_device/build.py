"""Hearing on a device, put together."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from voicebot.asr.device_streams import device_named, is_full
from voicebot.engine.hearing_device.hearing import DeviceHearing, Rooms
from voicebot.engine.hearing_device.line import Line
from voicebot.engine.hearing_device.machine import Machine
from voicebot.errors import CapacityError, DeviceLost

WHERE = "settings: hearing.device"


def make_machine(slots: int, name: str, *, has_keys: bool = False, where: str = WHERE) -> Machine:
    """Everything on the device `name`, recorded; UserMistake where there is none (told as of
    `where`), CapacityError where its memory is short, DeviceLost where it does not compute."""
    device = device_named(name, where)
    try:
        line = Line(slots, device, has_keys=has_keys)
        return Machine(line, clock=time.perf_counter, sleep=time.sleep)
    except (RuntimeError, MemoryError) as error:
        if not is_full(error):
            raise DeviceLost(f"{where}: {name} fails ({str(error).splitlines()[0]})") from error
        if device.type == "cuda":
            torch.cuda.empty_cache()
        raise CapacityError(
            f"{where}: {name} has no memory to hear {slots} calls; lower server.max_calls",
            why="memory",
        ) from error


def make_hearing(
    slots: int,
    name: str,
    rooms: Rooms,
    *,
    on_lost: Callable[[str], object] = lambda why: None,
) -> DeviceHearing:
    """Of the engine, for `slots` calls; see DeviceHearing and `make_machine`."""
    machine = make_machine(slots, name, has_keys=rooms.keys is not None)
    return DeviceHearing(slots, machine, rooms, on_lost=on_lost)
