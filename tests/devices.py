"""Tests that need an accelerator: skipped where there is none, unless they were asked for."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

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


class Watched(TorchDispatchMode):
    """Notes whatever a graph cannot record: values asked for, shapes that depend on them, memory
    of the host. Around a step on tensors without values (device "meta"), it needs no GPU."""

    ASK = ("_local_scalar_dense", "item", "nonzero", "masked_select", "unique", "equal")

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        with self:  # what an operation is made of: in inference mode it comes as one
            told = func.decompose(*args, **(kwargs or {}))
        if told is not NotImplemented:
            return told
        name = func.name()
        told = func(*args, **(kwargs or {}))
        if any(word in name.replace("not_equal", "") for word in self.ASK):
            self.found.add(name)
        for value in (*args, *(kwargs or {}).values(), told):
            if isinstance(value, torch.Tensor) and value.device.type == "cpu":
                self.found.add(f"{name} on the host")
        return told
