"""Loops compiled to machine code, for what would be fifty steps of numpy on a handful of rows.

A step of numpy costs a microsecond or two whatever it computes; a block of twenty calls is hardly
more work than that. Numba comes with Pipecat. What it compiled is kept on disk: beside the
module or, where that may not be written, in the user's cache folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

_LENIENT = {"reassoc", "contract", "arcp", "nsz"}
"""Sums in any order, as numpy's own; what is not a number stays so."""


def compiled(signature: str) -> Callable[[F], F]:
    """Compiles a function of arrays for one signature, in Numba's spelling, at import.

    What was kept is compiled anew when the function's own file has changed, or a value of other
    modules that is compiled into it: a constant, an array, a function.
    """

    def build(function: F) -> F:
        def compile(is_kept: bool) -> F:
            how = njit(signature, cache=is_kept, fastmath=_LENIENT, error_model="numpy")
            return cast("F", how(function))

        name = function.__qualname__
        function.__qualname__ = f"{name}_{_fingerprint(function)}"  # what it is kept by
        try:
            return compile(is_kept=True)
        except Exception:  # no folder to keep it in, a full disk, what lies there is damaged
            return compile(is_kept=False)
        finally:
            function.__qualname__ = name

    return build


def _fingerprint(function: Callable[..., Any]) -> str:
    """Of the values that are compiled into a function."""
    digest = hashlib.sha256()
    _digest(cast(FunctionType, function), digest.update)
    return digest.hexdigest()[:12]


def _digest(function: FunctionType, update: Callable[[bytes], object]) -> None:
    for name in sorted({*function.__code__.co_names} - {function.__name__}):
        value = function.__globals__.get(name)
        called = getattr(value, "py_func", None)
        if isinstance(called, FunctionType):
            code = called.__code__
            update(repr((name, code.co_code, code.co_names)).encode())
            update(repr([one for one in code.co_consts if not hasattr(one, "co_code")]).encode())
            _digest(called, update)
        elif isinstance(value, np.ndarray):
            update(repr((name, value.dtype, value.shape)).encode() + value.tobytes())
        elif isinstance(value, (int, float, complex, str, tuple, np.generic)):
            update(repr((name, value)).encode())
