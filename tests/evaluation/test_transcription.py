"""What `voicebot transcribe` gives for a file."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from voicebot.evaluation.transcription import transcribe_files
from voicebot.events import Alternative, Hypothesis, Word

pytestmark = pytest.mark.unit


class Ear:
    """Hears two words, of the second it is not known when."""

    def transcribe(self, batch: list[np.ndarray], **_: object) -> list[Hypothesis]:
        words = (Word("two", 0.91234, 800, 2400), Word("cups", 0.5))
        return [Hypothesis("two cups", words, 0.7, (Alternative("two cups", 0.7),))] * len(batch)


def test_words_have_times_and_confidence_and_every_key_is_told(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    (result,) = transcribe_files(Ear(), [tmp_path / "a.wav"])
    assert result["words"] == [
        {"text": "two", "confidence": 0.9123, "start_s": 0.1, "end_s": 0.3},
        {"text": "cups", "confidence": 0.5, "start_s": None, "end_s": None},
    ]
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(\w+)`", readme.partition("`voicebot transcribe --json`")[2][:600]))
    assert {*result, *result["words"][0], "written", "intent", "slots", "error"} <= told
