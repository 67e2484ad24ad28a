"""Hearing on a device, put together."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from voicebot.asr.device_streams import device_named, is_full
from voicebot.engine.hearing import BLOCK, Chunk, Hearing
from voicebot.engine.hearing_device.hearing import DeviceHearing, Rooms
from voicebot.engine.hearing_device.line import Line
from voicebot.engine.hearing_device.machine import Machine
from voicebot.engine.hearing_device.revival import Revival
from voicebot.engine.hearing_device.shedding import Shedding
from voicebot.engine.hearing_rooms import DeviceWatch
from voicebot.errors import CapacityError, DeviceLost

WHERE = "settings: hearing.device"
MEASURED_CALLS, MEASURED_BLOCKS = 64, 24
"""Of a CPU beforehand: a batch as large as it may have to hear, for half a second."""


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
    slots: int, name: str, rooms: Rooms, *, watch: DeviceWatch | None = None
) -> DeviceHearing:
    """Of the engine, for `slots` calls; see DeviceHearing.

    With `watch` a device that cannot be had is told as lost; without, it is raised.
    """
    make = partial(make_machine, slots, name, has_keys=rooms.keys is not None)
    machine: Machine | None = None
    revival = Revival(make)
    try:
        machine = make()
    except (CapacityError, DeviceLost) as error:
        if watch is None:
            raise
        watch.lost(str(error))
        revival.lost(time.monotonic())
    shedding = Shedding(slots, cost_of_a_call(slots, rooms))
    return DeviceHearing(slots, machine, rooms, watch=watch, shedding=shedding, revival=revival)


def cost_of_a_call(
    slots: int, rooms: Rooms, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds of the CPU for each block of a call, while the bot talks; leaves no trace."""
    calls = min(slots, MEASURED_CALLS)
    hearing = Hearing(
        calls, rooms.vad, canceller=rooms.canceller, near_end=rooms.near_end, keys=rooms.keys
    )
    noise = np.random.default_rng(0).integers(0, 256, (MEASURED_BLOCKS, 2, BLOCK), np.uint8)
    took = []
    for number, (near, far) in enumerate(noise):
        chunks = [
            Chunk(slot, number * BLOCK, near.tobytes(), far.tobytes()) for slot in range(calls)
        ]
        began = clock()
        hearing.hear(chunks)
        took.append(clock() - began)
    for slot in range(calls):
        hearing.reset(slot)
    half = took[len(took) // 2 :]  # what comes first is slower: memory, compiled loops
    return sum(half) / len(half) / calls
