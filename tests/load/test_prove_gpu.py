"""The script that proves a GPU: its verdicts, and that nothing holds up the rest."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.unit

PATH = Path(__file__).parents[2] / "deploy" / "prove_gpu.py"
FOUND = {
    "max_streams": 100, "chunk_ms": 160, "chunk_p99_ms": 90.0, "final_p99_ms": 300.0,
    "of_roofline": 3.5, "left_out_share": 0.0,
}  # fmt: skip


@pytest.fixture
def prove(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("prove_gpu", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "prove_gpu", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "ok"),
        ({"max_streams": 99}, "SHORT"),
        ({"final_p99_ms": 501.0}, "SHORT"),
        ({"final_p99_ms": None}, "SHORT"),
        ({"of_roofline": 4.1}, "SHORT"),
        ({"chunk_p99_ms": "?", "of_roofline": None}, "FAILED"),
    ],
)
def test_marks(prove: ModuleType, changed: dict[str, object], verdict: str) -> None:
    part = prove.Part("a", ("bench",), 1.0, 100)
    printed = f"noise\n{json.dumps({**FOUND, **changed})}\n"
    assert prove.judge(part, 0, printed, "")[0] == verdict


def test_what_failed_says_why(prove: ModuleType) -> None:
    part = prove.Part("a", ("bench",), 1.0, 100)
    assert prove.judge(part, 2, "", "x\nvoicebot: no device\n\n") == (
        "FAILED",
        "voicebot: no device",
    )
    tests = prove.Part("t", ("-m", "pytest"), 1.0)
    assert prove.judge(tests, 1, "1 failed, 2 passed\n", "") == ("FAILED", "1 failed, 2 passed")


def test_one_that_hangs_or_fails_costs_the_others_nothing(
    prove: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hangs = prove.Part("hangs", ("-c", "input() or __import__('threading').Event().wait()"), 0.3, 1)
    breaks = prove.Part("breaks", ("-c", "raise SystemExit('no such device')"), 30, 1)
    sound = prove.Part("sound", ("-c", f"print({json.dumps(FOUND)!r})"), 30, 100)
    waits = prove.Part("waits", ("-c", "import signal; signal.pause()"), 0.3, 1)
    monkeypatch.setattr(prove, "parts", lambda *_, **__: [hangs, waits, breaks, sound])
    monkeypatch.setattr(prove, "LEAST_S", 0.0)
    assert prove.main(["--out", str(tmp_path / "out")]) == 1
    last = capsys.readouterr().out.strip().splitlines()[-4:]
    assert [line.split()[1] for line in last[2:]] == ["breaks", "sound"]
    assert last[1].startswith("TOO LONG")
    assert [line.split()[0] for line in last[2:]] == ["FAILED", "ok"]
    assert (tmp_path / "out" / "sound.txt").read_text()


def test_its_parts_are_the_marks(prove: ModuleType) -> None:
    found = {(part.name, part.streams) for part in prove.parts("cuda", is_small=False)}
    assert found >= {
        ("telephone, 300 ms", 17_203),
        ("fastconformer-0.6b, 320 ms", 2500),
        ("fastconformer-0.6b, 160 ms", 1500),
        ("fastconformer-115m, 160 ms", 8000),
    }
    assert prove.device_tests()
