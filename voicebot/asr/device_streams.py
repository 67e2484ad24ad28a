"""Streams and events of a device, so that copies in and out run beside the computation.

On a CPU there is nothing to run beside: everything happens when it is called, and marks are the
clock's readings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

from voicebot.errors import UserMistake

Name = Literal["in", "compute", "out"]
_BROKEN_OFF: list[Any] = []
"""Recordings that failed: the allocator asks a graph, for as long as its pool is open, whether
memory is for it, and a recording that breaks off leaves the pool open."""


class Streams:
    """One for copies in, one to compute, one for copies out."""

    def __init__(self, device: torch.device, clock: Callable[[], float]) -> None:
        """`clock`: seconds, for marks where the device has no clock of its own."""
        self.device, self.is_cuda, self._clock = device, device.type == "cuda", clock
        self._streams: dict[str, Any] = {}
        if self.is_cuda:
            for name in ("in", "compute", "out"):
                self._streams[name] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def on(self, name: Name) -> Any:
        """A context in which work is given to that stream."""
        return torch.cuda.stream(self._streams[name]) if self.is_cuda else nullcontext()

    def mark(self, name: Name) -> Any:
        """The present end of that stream's work."""
        if not self.is_cuda:
            return self._clock()
        # Whoever waits for it sleeps: other threads have work for the core.
        event: Any = torch.cuda.Event(  # type: ignore[no-untyped-call]
            enable_timing=True, blocking=True
        )
        event.record(self._streams[name])
        return event

    def follow(self, name: Name, mark: Any) -> None:
        """What that stream is given next begins after the mark; the host does not wait."""
        if self.is_cuda:
            self._streams[name].wait_event(mark)

    def wait(self, mark: Any) -> None:
        """Until the device has come to the mark; whatever it reports is raised here."""
        if self.is_cuda:
            mark.synchronize()

    def seconds(self, first: Any, last: Any) -> float:
        """Between two marks that the device has passed."""
        return float(first.elapsed_time(last) / 1000 if self.is_cuda else last - first)

    def indices(self, rows: list[int]) -> Tensor:
        """int64 on the device, without waiting for it: by way of pinned memory, which the
        allocator does not give away again before the copy is done."""
        made = torch.tensor(rows, dtype=torch.int64)
        return made.pin_memory().to(self.device, non_blocking=True) if self.is_cuda else made

    def pinned(self, tensor: Tensor) -> Tensor:
        """In memory that the device can copy from by itself."""
        return tensor.pin_memory() if self.is_cuda else tensor

    @contextmanager
    def capturing(self, pool: Any) -> Iterator[Any]:
        """Record what is given to the compute stream as a graph, which is yielded.

        Other threads may go on using the device. `pool`: of a graph captured before, None for the
        first: graphs that never run at the same time share the memory of their intermediates.
        All that the device was given before must be done (`settle`). Not by torch.cuda.graph,
        which stops to collect garbage and gives cached memory back, for each of hundreds.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.stream(self._streams["compute"]):
            graph.capture_begin(pool, "thread_local")
            try:
                yield graph
            except BaseException:
                _BROKEN_OFF.append(graph)
                raise
            finally:  # also of one that broke off: else the stream goes on recording
                graph.capture_end()

    def settle(self) -> None:
        """Until the device has done all it was given."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def is_alive(self) -> bool:
        """Whether the device still computes: after an error of its own it never does again."""
        try:
            return int(torch.ones(1, device=self.device).add_(1)) == 2
        except Exception:
            return False


def device_named(name: str, where: str) -> torch.device:
    """ "auto" takes the GPU where there is one; UserMistake, told as of `where`, for what is not
    there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in {"cpu", "cuda"}:
        raise UserMistake(f"{where}: {name!r} is no device; take cpu, cuda or cuda:N")
    if device.type == "cpu":
        return torch.device("cpu")
    if (device.index or 0) >= torch.cuda.device_count():
        raise UserMistake(f"{where}: there is no device {name} on this machine; take cpu")
    return torch.device("cuda", device.index or 0)


def choose_kernels(device: torch.device) -> None:
    """For the whole process: products of float32 with ten bits of mantissa."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        steady_attention()


def steady_attention() -> None:
    """For the whole process: attention by kernels that take any shape and mask at once. cuDNN's,
    which newer versions prefer on Hopper, makes a plan for each shape, a fraction of a second."""
    torch.backends.cuda.enable_cudnn_sdp(False)


def use_threads(count: int) -> None:
    """Of a CPU; 0: all cores but one, as threads that spin for a busy core cost much more time."""
    torch.set_num_threads(count or max(1, (os.cpu_count() or 2) - 1))


_FULL = ("allocate memory", "out of memory", "_STATUS_ALLOC_FAILED")
"""Of a CPU, of CUDA, and of its libraries, which have words of their own."""


def is_full(error: BaseException) -> bool:
    """Whether memory was short, also where another error followed from that.

    A CPU's allocator has no class of error of its own, and a capture that breaks off for lack
    of memory ends with an error of its own.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (torch.OutOfMemoryError, MemoryError)):
            return True
        if any(sign in str(seen) for sign in _FULL):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
