"""A processor that fails must fail its call: Pipecat logs it and leaves the caller in silence."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from pipecat.frames.frames import ErrorFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.ai_service import AIService


async def watched(processor: FrameProcessor, work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, a task of `processor`; what it raises is reported as the processor's error."""
    try:
        await work
    except Exception as error:
        await processor.push_error(f"{type(error).__name__}: {error}", exception=error)


def failure_of(frame: ErrorFrame) -> Exception | None:
    """What the call fails with; None for a Pipecat service, whose next request may succeed."""
    if isinstance(frame.processor, AIService):
        return None
    return frame.exception or RuntimeError(frame.error)
