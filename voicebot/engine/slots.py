"""A call borrows a slot (one row of every state array) and gives it back."""

from __future__ import annotations

from voicebot.errors import CapacityError


class SlotPool:
    """Hands out the numbers 0..size-1; the lowest free one first, so that batches stay dense."""

    def __init__(self, size: int) -> None:
        """`size`: calls at once."""
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self._size = size
        self._free = list(range(size - 1, -1, -1))
        self._taken: set[int] = set()

    @property
    def taken(self) -> int:
        """Slots in use."""
        return len(self._taken)

    def acquire(self) -> int:
        """A free slot; CapacityError when there is none."""
        if not self._free:
            raise CapacityError(f"all {self._size} slots are taken")
        slot = self._free.pop()
        self._taken.add(slot)
        return slot

    def release(self, slot: int) -> None:
        """Give `slot` back; a slot that is not taken is ignored (release is idempotent)."""
        if slot in self._taken:
            self._taken.remove(slot)
            self._free.append(slot)
            self._free.sort(reverse=True)
