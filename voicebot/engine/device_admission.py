"""Whether a device can carry one more call, by how long its steps take. No torch, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

UTILISATION = 0.8
"""Share of the time that steps may take: the rest absorbs bursts, finals and other work."""
WEIGHT = 0.2
"""Of the newest step in the running mean; rises are taken at once, so that it errs to the safe."""


class Admission:
    """Keeps the time of a step for every batch size seen."""

    def __init__(
        self, chunk_s: float, *, utilisation: float = UTILISATION, sizes: Sequence[int] = ()
    ) -> None:
        """`chunk_s`: every lane makes one step in that time.

        `sizes`: batches are brought up to one of these: what was measured of each is then soon
        measured again, and a single slow step does not shut the door for good.
        """
        self._budget = chunk_s * utilisation
        self._sizes = sorted(sizes)
        self._seconds: dict[int, float] = {}

    def record(self, rows: int, seconds: float) -> None:
        """A step with a batch of `rows` took so long."""
        rows = self._size(rows)
        known = self._seconds.get(rows, seconds)
        risen = max(known, seconds)
        self._seconds[rows] = seconds if seconds >= risen else known + WEIGHT * (seconds - known)

    def predicted(self, rows: int) -> float:
        """Seconds of a step with `rows`; 0 while nothing like it was measured.

        Between sizes seen the next larger one counts; beyond them time grows with the rows.
        """
        rows = self._size(rows)
        if rows in self._seconds or not self._seconds:
            return self._seconds.get(rows, 0.0)
        larger = [size for size in self._seconds if size > rows]
        if larger:
            return self._seconds[min(larger)]
        largest = max(self._seconds)
        return self._seconds[largest] * rows / largest

    def allows(self, lanes: Sequence[int]) -> bool:
        """Whether lanes with these batch sizes keep pace."""
        return sum(self.predicted(rows) for rows in lanes if rows) <= self._budget

    def seconds(self) -> Mapping[int, float]:
        """Batch size -> seconds of a step."""
        return dict(self._seconds)

    def _size(self, rows: int) -> int:
        return next((size for size in self._sizes if size >= rows), rows)
