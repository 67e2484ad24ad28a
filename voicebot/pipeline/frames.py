"""The frames that travel: the caller's audio, rendered prompts, and events in an envelope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pipecat.frames.frames import DataFrame, SystemFrame

from voicebot.events import BargeInMode, SpokenPrompt


class CallerAudio(NamedTuple):
    """mu-law bytes of the caller; `at` is the first sample on the inbound clock."""

    at: int
    mulaw: bytes


@dataclass
class CallerAudioFrame(SystemFrame):
    """The caller's audio on its way to a Pipecat service."""

    audio: CallerAudio


@dataclass
class EventFrame(SystemFrame):
    """A value of voicebot.events on its way between processors."""

    event: object


@dataclass
class PromptFrame(DataFrame):
    """Rendered speech for the caller's ear, in playing order."""

    prompt: SpokenPrompt
    is_last: bool = True  # of its Play: more pieces follow when a service streams
    barge_in: BargeInMode | None = None  # what may interrupt it; None: what the place says


@dataclass
class AfterPromptsFrame(DataFrame):
    """Something to do once the caller has heard what was queued before: Listen, hang up."""

    event: object
