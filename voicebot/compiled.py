"""Loops compiled to machine code, for what would be fifty steps of numpy on a handful of rows.

A step of numpy costs a microsecond or two whatever it computes; a block of twenty calls is hardly
more work than that. Numba comes with Pipecat. What it compiled is kept on disk: beside the
module or, where that may not be written, in the user's cache folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

_LENIENT = {"reassoc", "contract", "arcp", "nsz"}
"""Sums in any order, as numpy's own; what is not a number stays so."""


def compiled(signature: str) -> Callable[[F], F]:
    """Compiles a function of arrays for one signature, in Numba's spelling, at import.

    What was kept is compiled anew when the function's own file has changed, not when a constant
    that it imports has: such constants are those that never change (sizes of chunks).
    """

    def build(function: F) -> F:
        def compile(is_kept: bool) -> F:
            how = njit(signature, cache=is_kept, fastmath=_LENIENT, error_model="numpy")
            return cast("F", how(function))

        try:
            return compile(is_kept=True)
        except RuntimeError:  # there is no folder to keep it in
            return compile(is_kept=False)

    return build
