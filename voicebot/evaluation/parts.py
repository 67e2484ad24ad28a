"""The ears of a call as the server puts them together, for evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.asr.stream import LocalAgreement
from voicebot.audio.dtmf import DtmfDetector
from voicebot.audio.echo import EchoCanceller
from voicebot.engine.runner import Runner
from voicebot.nlu.completeness import completeness
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.listener import Listener
from voicebot.turns.near_end import NearEndDetector
from voicebot.turns.vad import SileroVad, SpeechDetector

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser
    from voicebot.audio.playout import Playout


def make_runner(slots: int, recogniser: Recogniser | None) -> Runner:
    """All that hears, for `slots` calls."""
    return Runner(
        slots,
        SileroVad(slots),
        recogniser,
        canceller=EchoCanceller(slots),
        near_end=NearEndDetector(slots),
        keys=DtmfDetector(slots),
    )


def make_listener(playout: Playout) -> Listener:
    """One call's policies."""
    return Listener(
        completeness=completeness,
        detector=SpeechDetector(),
        endpointer=Endpointer(),
        barge_in=BargeInPolicy(),
        agreement=LocalAgreement(),
        bot_text=playout.speaking,
    )
