"""State of all slots on a device: taken once, lent by row."""

from __future__ import annotations

import torch
from torch import Tensor


class SlotState:
    """Tensors [slots + 1, ...]. The last row is scratch: whatever must not be kept goes there."""

    def __init__(self, slots: int, device: torch.device) -> None:
        self.device = device
        self.scratch = slots
        self._kept: list[tuple[Tensor, float]] = []
        self._unkept: list[Tensor] = []

    def add(self, *shape: int, dtype: torch.dtype = torch.float32, fill: float = 0) -> Tensor:
        """One more, `fill` in every slot; `reset` fills it again."""
        size = (self.scratch + 1, *shape)
        tensor = torch.full(size, fill, dtype=dtype, device=self.device)
        self._kept.append((tensor, fill))
        return tensor

    def counter(self, fill: int = 0) -> Tensor:
        """int64[slots + 1]."""
        return self.add(dtype=torch.int64, fill=fill)

    def flag(self) -> Tensor:
        """bool[slots + 1], False."""
        return self.add(dtype=torch.bool)

    def unkept(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """One that `reset` leaves alone: something else tells what in it is of the call."""
        tensor = torch.zeros((self.scratch + 1, *shape), dtype=dtype, device=self.device)
        self._unkept.append(tensor)
        return tensor

    def reset(self, rows: Tensor) -> None:
        """New calls take these rows, int64[k]."""
        for tensor, fill in self._kept:
            tensor.index_fill_(0, rows, fill)

    def only(self, rows: Tensor, where: Tensor) -> Tensor:
        """`rows`, int64[n], the scratch row in place of those that are not `where` (bool[n])."""
        return rows.masked_fill(~where, self.scratch)

    @property
    def nbytes_per_slot(self) -> int:
        """Memory of one row."""
        tensors = [*(tensor for tensor, _ in self._kept), *self._unkept]
        return sum(tensor[0].numel() * tensor.element_size() for tensor in tensors)


def put(tensor: Tensor, rows: Tensor, values: Tensor) -> None:
    """Write rows, int64[n]; which of several values the scratch row gets does not matter."""
    tensor.index_copy_(0, rows, values.to(tensor.dtype))


def constant(values: object, device: torch.device) -> Tensor:
    """A table of a room, float32 or complex64, on the device."""
    tensor = torch.as_tensor(values)
    return tensor.to(torch.complex64 if tensor.is_complex() else torch.float32).to(device)
