"""Telling English from other languages: what is fitted, and how it is judged."""

from pathlib import Path

import numpy as np
import pytest

from voicebot.learning import asr_language
from voicebot.learning.asr_language import Heard

pytestmark = pytest.mark.unit


def sounds(groups: str) -> list[Heard]:
    """Upper case is a language, lower case a set of English."""
    return [Heard(np.zeros(1, np.float32), name, name.isupper()) for name in groups]


def test_a_language_is_judged_by_who_never_heard_it() -> None:
    heard = sounds("A" * 60 + "B" * 60 + "C" * 30 + "e" * 150)
    rng = np.random.default_rng(1)
    known = rng.normal(0, 1, (300, 6))
    known[:120, :3] += 9  # A and B are alike
    known[120:150, 3:] += 9  # C, unless it was heard, is like English
    taken = asr_language.crossed(known, heard)
    assert min(taken["A"][0], taken["B"][0]) >= 50
    assert taken["C"][0] <= 3
    assert taken["e"][0] <= 3
    assert taken["e"][1] == 150


def test_english_and_the_rest_weigh_the_same() -> None:
    known = np.array([[0.0], [1.0], *[[0.0]] * 98])
    model = asr_language.fit(known, np.array([False, True, *[False] * 98]))
    assert float(model(np.array([[0.0]]))[0]) < 0.5 < float(model(np.array([[1.0]]))[0])


def test_a_folder_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asr_language.main([str(tmp_path / "gone"), "--cache", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
