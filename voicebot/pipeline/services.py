"""Pipecat's cloud services in place of our own recogniser or voice.

A service is named `package.module:Class` with its keyword arguments; ours is the seam on
either side: VAD frames in and transcripts out for STT, text in and telephone audio out for TTS.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    TextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voicebot.audio import mulaw
from voicebot.audio.pcm import to_float, to_int16
from voicebot.audio.resample import resample
from voicebot.errors import SettingsError
from voicebot.events import (
    SAMPLE_RATE_HZ,
    Alternative,
    BargeIn,
    Hypothesis,
    PhraseEnd,
    SpeechEnded,
    SpeechStarted,
    SpokenPrompt,
    Word,
)
from voicebot.pipeline.frames import EventFrame, PromptFrame

UPSTREAM = FrameDirection.UPSTREAM
EXTERNAL_CONFIDENCE = 0.9
"""Most services give no confidence for a final; low enough that a plan may still confirm."""


Factory = Callable[[], FrameProcessor]
"""Makes one call's own instance of a Pipecat service."""


def load_service(setting: str, path: str, options: Mapping[str, Any]) -> Factory:
    """A factory of the Pipecat service at `package.module:Class`; SettingsError in one line."""
    # Imported only where such a service is configured: they warn about themselves.
    from pipecat.services.llm_service import LLMService
    from pipecat.services.stt_service import STTService
    from pipecat.services.tts_service import TTSService

    module_name, _, class_name = path.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module_name), class_name or "?")
    except (ImportError, ValueError) as error:
        raise SettingsError(
            f"{setting}: cannot import {module_name!r} ({error}); install its pipecat extra"
        ) from None
    except AttributeError:
        raise SettingsError(f"{setting}: {module_name!r} has no class {class_name!r}") from None
    if not (isinstance(found, type) and issubclass(found, STTService | TTSService | LLMService)):
        raise SettingsError(f"{setting}: {path!r} is not a Pipecat STT, TTS or LLM service")

    make_it: Callable[..., FrameProcessor] = found
    make_settings: Callable[..., object] = getattr(found, "Settings", dict)

    def make() -> FrameProcessor:
        arguments = dict(options)
        try:
            if isinstance(arguments.get("settings"), Mapping):
                # Pipecat's way to name model, voice and language: an object of the service's own.
                arguments["settings"] = make_settings(**arguments["settings"])
            return make_it(**arguments)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{setting}: {path}: {error}") from None

    return make


class ToStt(FrameProcessor):
    """Speech started and ended, in the frames that segmenting services wait for."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Add Pipecat's frame before ours."""
        await super().process_frame(frame, direction)
        if isinstance(frame, EventFrame) and isinstance(frame.event, SpeechStarted):
            await self.push_frame(VADUserStartedSpeakingFrame(start_secs=0.1))
        elif isinstance(frame, EventFrame) and isinstance(frame.event, SpeechEnded):
            await self.push_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await self.push_frame(frame, direction)


class FromStt(FrameProcessor):
    """Transcripts back to `hear` as hypotheses; audio and VAD frames end here."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Turn transcripts around, drop what only the service needed."""
        await super().process_frame(frame, direction)
        match frame:
            case TranscriptionFrame():
                await self.push_frame(EventFrame(_hypothesis(frame.text, is_final=True)), UPSTREAM)
            case InterimTranscriptionFrame():
                await self.push_frame(EventFrame(_hypothesis(frame.text, is_final=False)), UPSTREAM)
            case (
                InputAudioRawFrame() | VADUserStartedSpeakingFrame() | VADUserStoppedSpeakingFrame()
            ):
                pass
            case _:
                await self.push_frame(frame, direction)


def _hypothesis(text: str, *, is_final: bool) -> Hypothesis:
    text = text.strip()
    return Hypothesis(
        text,
        tuple(Word(word, EXTERNAL_CONFIDENCE) for word in text.split()),
        EXTERNAL_CONFIDENCE if text else 0.0,
        (Alternative(text, EXTERNAL_CONFIDENCE),) if text else (),
        is_final=is_final,
    )


class ToTts(FrameProcessor):
    """Prompts that carry only text become requests to the service; a barge-in interrupts it."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Ours to Pipecat's."""
        await super().process_frame(frame, direction)
        if isinstance(frame, PromptFrame) and not frame.prompt.mulaw:
            await self.push_frame(TTSSpeakFrame(frame.prompt.text))
            return
        if isinstance(frame, EventFrame) and isinstance(frame.event, BargeIn):
            await self.push_frame(InterruptionFrame())
        await self.push_frame(frame, direction)


class FromTts(FrameProcessor):
    """The service's audio becomes prompts of telephone audio, piece by piece as it arrives."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self._text = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pipecat's to ours."""
        await super().process_frame(frame, direction)
        match frame:
            case TTSTextFrame():
                self._text = f"{self._text} {frame.text}".strip()
            case TTSAudioRawFrame():
                await self.push_frame(PromptFrame(self._piece(frame)))
            case TextFrame() | LLMAssistantPushAggregationFrame():
                pass  # for Pipecat's own aggregators
            case TTSStartedFrame() | TTSStoppedFrame() | InterruptionFrame():
                self._text = ""
            case _:
                await self.push_frame(frame, direction)

    def _piece(self, frame: TTSAudioRawFrame) -> SpokenPrompt:
        """One piece of audio with the text that the service announced for it, if any."""
        pcm = np.frombuffer(frame.audio[: len(frame.audio) // 2 * 2], np.int16)
        if frame.sample_rate != SAMPLE_RATE_HZ:
            pcm = to_int16(resample(to_float(pcm), frame.sample_rate, SAMPLE_RATE_HZ))
        text, self._text = self._text, ""
        ends = (PhraseEnd(len(pcm), len(text)),) if text else ()
        return SpokenPrompt(text, mulaw.encode(pcm), ends)
