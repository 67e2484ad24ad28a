"""Tests that need an accelerator: skipped where there is none, unless they were asked for."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
import torch

ON_A_GPU = pytest.param("cuda", marks=pytest.mark.gpu)
DEVICES = ("cpu", ON_A_GPU)
"""Of a fixture that gives a test one after the other."""


def need_gpu(marks_asked_for: str, is_there: bool) -> None:
    """`pytest -m gpu` without a GPU must not look as if all had passed."""
    if is_there:
        return
    if "gpu" in re.findall(r"\w+", marks_asked_for):
        pytest.fail(
            f"pytest -m {marks_asked_for!r}, but torch {torch.__version__} sees no CUDA device: "
            "nothing was tried",
            pytrace=False,
        )
    pytest.skip("needs a GPU")


@contextlib.contextmanager
def no_tf32() -> Iterator[None]:
    """So that a GPU and a CPU choose the same labels."""
    kinds = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [kind.allow_tf32 for kind in kinds]
    try:
        for kind in kinds:
            kind.allow_tf32 = False
        yield
    finally:
        for kind, allowed in zip(kinds, before, strict=True):
            kind.allow_tf32 = allowed
