"""What an error of a device tells of its memory."""

import pytest
import torch

from voicebot.asr.device_streams import is_full

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "is_short"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),  # a graph's own memory
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(h)`"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"), False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
    ],
)
def test_memory_that_is_short_is_told_from_other_faults(error, is_short):
    assert is_full(error) == is_short
    other = RuntimeError("capture_end() failed")  # of a capture that broke off for that reason
    other.__context__ = error
    assert is_full(other) == is_short
