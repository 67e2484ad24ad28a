"""What happens to the dialogue: answers to what it asked for, and the course of the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from voicebot.events.understanding import Interpretation


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The media stream is open; parameters come from the TwiML (caller, dialled number)."""

    at: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoInput:
    """The caller said nothing within noinput_ms after the prompt."""

    at: int


@dataclass(frozen=True, slots=True)
class ServiceReply:
    """Answer to CallService `id`; `error` is None on success, else one line."""

    id: str
    value: Mapping[str, object] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class MessageTaken:
    """Answer to TakeMessage `id`: how long the caller spoke, where it is kept, what ended it."""

    id: str
    seconds: float = 0.0
    file: str = ""
    ended_by: Literal["silence", "key", "max", "hangup"] = "silence"
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """Answer to AskModel `id`: the language model's JSON text; `error`: one line."""

    id: str
    text: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PromptStarted:
    """The first audio of a prompt leaves for the caller."""

    at: int


@dataclass(frozen=True, slots=True)
class PromptEnded:
    """All prompts before a Listen were heard; the caller's time to answer begins."""

    at: int


@dataclass(frozen=True, slots=True)
class PromptHeard:
    """A prompt ended or was cut: what the caller heard of it."""

    at: int
    text: str
    was_cut: bool


@dataclass(frozen=True, slots=True)
class CallerHungUp:
    """The media stream is gone."""

    at: int


DialogueEvent = (
    CallStarted
    | Interpretation
    | NoInput
    | ServiceReply
    | MessageTaken
    | ModelReply
    | PromptHeard
    | CallerHungUp
)
