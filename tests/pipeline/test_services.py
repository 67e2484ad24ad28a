"""Pipecat's services in place of our own recogniser and voice: real base classes, small models."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
from pipecat.frames.frames import Frame, TranscriptionFrame, TTSAudioRawFrame
from pipecat.services.settings import STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from virtual_time import run

from pipeline.bench import SAMPLES_PER_CHAR, Script, call
from voicebot.errors import SettingsError
from voicebot.events import BargeIn, CallerTurn, Disconnect, PromptHeard, Transfer
from voicebot.pipeline.services import load_service

pytestmark = pytest.mark.pipeline

BARISTA = Path(__file__).parents[2] / "dialplans" / "barista.yaml"
ORDER = "can I have a large latte with soy milk"


class ToneStt(SegmentedSTTService):
    """Knows the words by the length of the tone in the segment, like the scripted recogniser."""

    def __init__(self, script: Script) -> None:
        super().__init__(settings=STTSettings(model=None, language=None), ttfs_p99_latency=0.5)
        self._script = script

    @property
    def wants_wav_segments(self) -> bool:
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        narrow = np.frombuffer(audio, np.int16).astype(np.float32) / 32768
        text = self._script.recognise(np.repeat(narrow, 2))
        yield TranscriptionFrame(text, "caller", "2026-11-20T09:30:00Z")


class ToneTts(TTSService):
    """Speaks 50 ms of tone a character, in pieces, at its own rate."""

    def __init__(self, voice: str = "tone") -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=16000,
            settings=TTSSettings(model=None, voice=voice, language=None),
        )

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        samples = np.sin(np.arange(len(text) * SAMPLES_PER_CHAR * 2) / 10) * 8000
        audio = samples.astype(np.int16).tobytes()
        for start in range(0, len(audio), 16000):
            yield TTSAudioRawFrame(audio[start : start + 16000], 16000, 1, context_id=context_id)


def test_a_pipecat_recogniser_hears_the_whole_call() -> None:
    script = Script((ORDER, None), ("yes", None))
    done = run(call(BARISTA, script, stt=lambda: ToneStt(script)))
    assert done.decision == Disconnect("ordered", is_goal=True)
    assert [turn.hypothesis.text for turn in done.of(CallerTurn)] == [ORDER, "yes"]
    assert done.of(CallerTurn)[0].hypothesis.confidence > 0.5


LEGAL = """
welcome: {say: "Calls are recorded and you may object to that at any time.", barge_in: hotword}
forms:
  ask:
    fields:
      card: {type: digits, length: 4, prompt: "What is your number?"}
    filled:
      - disconnect: done
universals:
  operator: {phrases: [operator], transfer: "+15550100"}
"""


@pytest.mark.parametrize("words", ["operator please", "something else"])
def test_the_hot_word_is_heard_among_the_words_of_a_service(tmp_path: Path, words: str) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(LEGAL, "utf-8")
    script = Script((words, 0.5))
    done = run(call(plan, script, stt=lambda: ToneStt(script), patience_s=12))
    is_said = words.startswith("operator")
    assert [barge_in.kind for barge_in in done.of(BargeIn)] == ["hotword"] * is_said
    assert [turn.hypothesis.text for turn in done.of(CallerTurn)] == [words] * is_said
    assert isinstance(done.decision, Transfer)  # a silent caller is, too, later


def test_a_pipecat_voice_speaks_the_whole_call() -> None:
    script = Script((ORDER, None), ("yes", None))
    done = run(call(BARISTA, script, tts=ToneTts))
    assert done.decision == Disconnect("ordered", is_goal=True)
    spoken = sum(stretch.end_s - stretch.start_s for stretch in done.call.playback.stretches)
    greeting = "Welcome to the coffee bar." + "What can I get you?"
    assert spoken >= len(greeting) * SAMPLES_PER_CHAR / 8000
    # The goodbye was heard to its end: nothing was left at Twilio when the call was over.
    assert not done.call.playback.buffered_samples


def test_a_caller_interrupts_a_pipecat_voice() -> None:
    script = Script((ORDER, 0.8), ("yes", None))
    done = run(call(BARISTA, script, tts=ToneTts))
    assert done.decision == Disconnect("ordered", is_goal=True)
    assert len(done.of(BargeIn)) == 1
    assert done.caller.records[0].barge_in_ms is not None
    assert done.caller.records[0].barge_in_ms <= 400
    assert any(heard.was_cut for heard in done.of(PromptHeard))


def test_a_service_is_loaded_by_its_path() -> None:
    make = load_service("speech.voice", f"{__name__}:ToneTts", {"voice": "deep"})
    made = make()
    assert isinstance(made, ToneTts)
    assert made is not make()  # one of its own for every call


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no.such.module:Thing", "asr.service: cannot import 'no.such.module'"),
        (f"{__name__}:Nothing", "has no class 'Nothing'"),
        (__name__, "has no class ''"),
        ("pathlib:Path", "is not a Pipecat STT, TTS or LLM service"),
        ("", "asr.service: cannot import ''"),
    ],
)
def test_a_wrong_path_is_one_clear_line(path: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_service("asr.service", path, {})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_options_are_one_clear_line() -> None:
    make = load_service("speech.voice", f"{__name__}:ToneTts", {"volume": 11})
    with pytest.raises(SettingsError, match=r"speech\.voice: .*volume"):
        make()
