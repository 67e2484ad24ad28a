"""What is kept of compiled loops is what the sources say, and nothing that lies there stops us."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from numba.core import caching, config

pytestmark = pytest.mark.unit

LOOP = """
from limits_of_a_loop import LIMIT, more
from voicebot.compiled import compiled

@compiled("int64(int64)")
def least(value):
    return min(more(value), LIMIT)
"""
LIMITS = """
from voicebot.compiled import compiled

LIMIT = {limit}

@compiled("int64(int64)")
def more(value):
    return value + {step}
"""


@pytest.fixture(autouse=True)
def _kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "kept"))
    (tmp_path / "loop.py").write_text(LOOP)


def load(folder: Path, limit: int = 10, step: int = 1) -> ModuleType:
    """The loop's module as a new process has it."""
    (folder / "limits_of_a_loop.py").write_text(LIMITS.format(limit=limit, step=step))
    made = []
    for name in ("limits_of_a_loop", "loop"):
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        source = (folder / f"{name}.py").read_text()
        exec(compile(source, folder / f"{name}.py", "exec"), module.__dict__)
        made.append(module)
    for name in ("limits_of_a_loop", "loop"):
        del sys.modules[name]
    return made[1]


def test_constants_and_functions_of_other_modules_are_not_of_yesterday(tmp_path: Path) -> None:
    assert load(tmp_path).least(5) == 6
    again = load(tmp_path).least
    assert again(50) == 10
    assert sum(again.stats.cache_hits.values()) == 1, "it was kept"
    assert load(tmp_path, limit=20).least(50) == 20
    assert load(tmp_path, step=3).least(5) == 8


def test_what_is_damaged_is_compiled(tmp_path: Path) -> None:
    assert load(tmp_path).least(5) == 6
    kept = [*(tmp_path / "kept").rglob("*.nbi")]
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(b"")
    assert load(tmp_path).least(50) == 10


def test_a_full_disk_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    assert load(tmp_path).least(50) == 10
