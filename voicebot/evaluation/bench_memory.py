"""Memory of a bench: as computed from weights and state, and as device or process have it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes. `streams`: for how many there is room; `buffers`: fixed inputs and outputs of
    steps. What steps compute with is not computed; `in_use` has it, by what it is called.
    """

    weights: int
    state: int  # of a stream
    streams: int
    buffers: int
    in_use: Mapping[str, int]

    @property
    def computed(self) -> int:
        """All that can be told beforehand."""
        return self.weights + self.state * self.streams + self.buffers

    def __str__(self) -> str:
        parts = [f"weights {_mb(self.weights)}", f"state of {self.streams} streams"]
        parts[1] += f" {_mb(self.state * self.streams)}"
        parts += [f"buffers {_mb(self.buffers)}"] if self.buffers else []
        used = ", ".join(f"{name} {_mb(value)}" for name, value in self.in_use.items())
        return f"memory as computed {_mb(self.computed)} ({', '.join(parts)}); in use: {used}"


def in_use(device: torch.device) -> dict[str, int]:
    """Of a GPU what tensors take, what is kept for them and for graphs, and all that the device
    has given away, to other processes, too; else what is resident of this process."""
    if device.type != "cuda":
        return {"resident": _resident()}
    free, whole = torch.cuda.mem_get_info(device)
    return {
        "allocated": torch.cuda.memory_allocated(device),
        "reserved": torch.cuda.memory_reserved(device),
        "taken on the device": whole - free,
    }


def weights_of(network: nn.Module) -> int:
    """Bytes of its parameters and constants."""
    tensors = [*network.parameters(), *network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _resident() -> int:
    """Now, on Linux; elsewhere the most there has been."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024)


def _mb(count: int) -> str:
    """Never 0 for something."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
