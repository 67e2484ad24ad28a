"""Callers who speak another language: what is counted of what the recogniser makes of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from voicebot.errors import ModelUnavailable
from voicebot.evaluation import asr_foreign
from voicebot.evaluation.asr_result import AsrResult
from voicebot.events import Alternative, Expectation, Hypothesis, Word
from voicebot.learning.asr_confidence_foreign import SENTENCES

pytestmark = pytest.mark.unit


class Ears:
    """Hears "yes" in everything where yes or no is asked for, an unsure "see" elsewhere."""

    def transcribe(
        self,
        batch: Sequence[np.ndarray],
        *,
        nbest: int = 1,
        expectations: Sequence[Expectation | None] = (),
    ) -> list[Hypothesis]:
        return [self._heard(expected) for expected in expectations]

    def _heard(self, expected: Expectation | None) -> Hypothesis:
        is_asked = expected == asr_foreign.ASKED["yes_no"]
        text, sure = ("yes", 0.9) if is_asked else ("see", 0.2)
        return Hypothesis(text, (Word(text, sure),), sure, (Alternative(text, sure),))


def test_values_taken_of_another_language_are_counted() -> None:
    measured = asr_foreign.measure(Ears(), quick=True)  # type: ignore[arg-type]
    assert measured is not None
    found = measured.as_dict()
    assert set(found) == {"nothing", "yes_no", "letters", "digits", "menu"}
    assert found["yes_no"]["filled"] == found["yes_no"]["sure"] == 1.0
    assert found["yes_no"]["sure_words_per_minute"] == pytest.approx(
        found["yes_no"]["utterances"] / measured.minutes, abs=0.01
    )
    assert found["yes_no"]["worst"] == ["yes", 0.9]
    for name in ("nothing", "letters", "digits", "menu"):
        assert (found[name]["texts"], found[name]["sure"], found[name]["filled"]) == (1, 0, 0)
    result = AsrResult([], {}, 1.0, 0.1, None, {}, False, measured)
    assert result.as_dict()["another_language"] == found
    assert "where yes_no is asked for" in result.table()


def test_without_voices_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ModelUnavailable("no espeak")

    monkeypatch.setattr(asr_foreign, "EspeakVoice", missing)
    assert asr_foreign.measure(Ears()) is None  # type: ignore[arg-type]


def test_what_is_measured_was_not_fitted_to() -> None:
    fitted = {text for texts in SENTENCES.values() for text in texts}
    assert not fitted & {text for _, text in asr_foreign.SENTENCES}
