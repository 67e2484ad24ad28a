"""Compiled loops, with and without a folder to keep them in."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from voicebot.audio.history import History

pytestmark = pytest.mark.unit

ALONE = """
import sys
from numba.core.caching import CacheImpl
CacheImpl._locator_classes = []  # as where no folder may be written
from voicebot.compiled import compiled

@compiled("int64(int64)")
def twice(number):
    return 2 * number

print(twice(21))
"""


def test_nothing_is_needed_to_keep_them_in(tmp_path: Path) -> None:
    script = tmp_path / "alone.py"
    script.write_text(ALONE)
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env={"PYTHONPATH": str(root)}
    )
    assert done.stdout == "42\n", done.stderr


def test_arrays_of_another_type_are_refused() -> None:
    history = History(1, 2, 4)
    with pytest.raises(TypeError):
        history.write(np.array([0]), np.array([0]), np.zeros((1, 4), np.complex64))
