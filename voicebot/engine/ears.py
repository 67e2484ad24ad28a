"""The ears of all calls put together from the rooms, for the server and for evaluations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.asr.stream import LocalAgreement
from voicebot.audio.dtmf import DtmfDetector
from voicebot.audio.echo import EchoCanceller
from voicebot.engine.runner import Runner
from voicebot.engine.spotting import EncoderSpotter, ModelSpotter, Spotter
from voicebot.nlu.completeness import completeness
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.end_of_turn import EndOfTurn
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.hotword import OpenWakeWord
from voicebot.turns.hotword_head import HotWordHead
from voicebot.turns.listener import Listener
from voicebot.turns.near_end import NearEndDetector
from voicebot.turns.smart_turn import SmartTurn
from voicebot.turns.vad import SileroVad, SpeechDetector

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser
    from voicebot.engine.hearing_rooms import DeviceWatch

STT_SILENCE_MS = 200
"""Silence after which an external service is told that the caller paused: those that recognise
stretch by stretch do so worse the shorter the stretches are."""


def make_runner(
    slots: int,
    recogniser: Recogniser | None,
    *,
    hot_word: Spotter | None = None,
    judges_by_sound: bool = False,
    has_inband_keys: bool = False,
    device: str = "cpu",
    watch: DeviceWatch | None = None,
) -> Runner:
    """All that hears, for `slots` calls; ModelUnavailable where a model is missing.

    `hot_word`: see `make_spotter`. `judges_by_sound`: another service recognises, which does not
    tell whether a caller has finished; Smart Turn does. `device`: where all but recognition is
    computed; UserMistake where there is none, CapacityError or DeviceLost where it cannot be had,
    unless somebody is there to `watch`. Where it is lost, the CPU goes on as far as it has time.
    """
    vad, canceller, near_end = SileroVad(slots), EchoCanceller(slots), NearEndDetector(slots)
    keys = DtmfDetector(slots) if has_inband_keys else None
    runner = Runner(
        slots,
        vad,
        recogniser,
        canceller=canceller,
        near_end=near_end,
        keys=keys,
        hot_word=hot_word,
        end_of_turn=EndOfTurn() if recogniser is not None else None,
        smart_turn=SmartTurn() if judges_by_sound else None,
    )
    if device != "cpu":
        from voicebot.engine.hearing_device.build import make_hearing
        from voicebot.engine.hearing_device.hearing import Rooms

        rooms = Rooms(vad, canceller, near_end, keys)
        runner.hearing = make_hearing(slots, device, rooms, watch=watch)
    return runner


def make_spotter(models: Sequence[Path] = (), features: Path | None = None) -> Spotter:
    """The shipped hot word, or openWakeWord `models`, whose shared nets lie in `features`.

    ModelUnavailable, one line, when a file is missing or unfit.
    """
    if not models:
        return EncoderSpotter(HotWordHead.load())
    folder = features or models[0].parent
    mel, embedding = folder / "melspectrogram.onnx", folder / "embedding_model.onnx"
    return ModelSpotter(OpenWakeWord(models, mel, embedding))


def make_listener(
    bot_text: Callable[[], str],
    *,
    is_local: bool = True,
    partial_interval_ms: int = 400,
    hot_word_threshold: float = 0.5,
    has_own_hot_word: bool = False,
    hears_words: bool = True,
) -> Listener:
    """One call's policies. `is_local`: our own recogniser hears. The rest: see Listener.

    `has_own_hot_word`: models of the author's look for it, and need no recogniser.
    """
    detector = SpeechDetector() if is_local else SpeechDetector(min_silence_ms=STT_SILENCE_MS)
    return Listener(
        completeness=completeness,
        detector=detector,
        endpointer=Endpointer(),
        barge_in=BargeInPolicy(),
        agreement=LocalAgreement(),
        partial_interval_ms=partial_interval_ms,
        bot_text=bot_text,
        hot_word_threshold=hot_word_threshold,
        looks_ahead=is_local,
        spells_hot_word=not is_local and not has_own_hot_word,
        hears_words=hears_words,
    )
