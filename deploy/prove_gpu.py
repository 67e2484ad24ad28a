"""Everything that only a GPU can prove, within ten minutes: `python deploy/prove_gpu.py`.

Tests of the device, then the marks of the recogniser and of hearing, each in a process of its own
with a time limit: what fails or hangs costs the others nothing. A short table comes last; what each
part printed lies in the folder of `--out`. On a machine without a GPU: `--device cpu --small`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FINAL_MS, ROOFLINES = 500.0, 4.0
"""Marks: p99 of finals, and the largest step in rooflines."""
LEAST_S = 15.0
"""A part is not begun with less than that left."""


@dataclass(frozen=True)
class Part:
    """A command that prints a JSON object last, or a test run; `limit_s`: at most."""

    name: str
    arguments: tuple[str, ...]
    limit_s: float
    streams: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    part: Part
    verdict: str
    told: str
    seconds: float


def parts(device: str, *, is_small: bool) -> list[Part]:
    """In the order in which they run: what is likeliest to fail comes before what takes long."""

    def bench(model: str, streams: int, chunk_ms: int, limit_s: float) -> Part:
        wanted = 4 if is_small else streams
        name = f"{model}, {chunk_ms} ms" if not is_small else f"{model}, small"
        arguments = (
            "-m", "voicebot.cli", "bench", "asr", "--model", "tiny" if is_small else model,
            "--streams", str(wanted), "--chunk-ms", str(chunk_ms), "--device", device,
            "--seconds", "2" if is_small else "8", "--fixed", "--json",
        )  # fmt: skip
        return Part(name, arguments, limit_s, wanted)

    calls = 4 if is_small else 1000
    hearing = (
        "-m", "voicebot.cli", "bench", "hearing", "--streams", str(calls), "--device", device,
        "--seconds", "3", "--fixed", "--json",
    )  # fmt: skip
    asked = "gpu" if device != "cpu" else "unit"
    tests = ("-m", "pytest", "-q", "-m", asked, "--maxfail=5", "-p", "no:cacheprovider")
    return [
        Part("tests of the device", (*tests, *device_tests()), 170),
        Part("hearing", hearing, 60, calls),
        bench("fastconformer-115m", 8000, 160, 80),
        bench("fastconformer-0.6b", 2500, 320, 80),
        bench("fastconformer-0.6b", 1500, 160, 80),
        bench("telephone", 17_203, 300, 200),
    ]


def device_tests() -> list[str]:
    """Modules with tests of a device: to import all others takes longer than these do."""
    marks = ("DEVICES", "mark.gpu")
    found = sorted((ROOT / "tests").rglob("test_*.py"))
    chosen = [path for path in found if any(mark in path.read_text("utf-8") for mark in marks)]
    return [str(path) for path in chosen]


def run(part: Part, limit_s: float, out: Path) -> Outcome:
    """The part, ended at its limit."""
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(  # noqa: S603  # our own commands
            [sys.executable, *part.arguments],
            cwd=ROOT, env=environment, timeout=limit_s, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
        printed, said, code = done.stdout, done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        printed, said = (_text(stream) for stream in (late.stdout, late.stderr))
        code = -1
    seconds = time.monotonic() - began
    name = "".join(letter if letter.isalnum() else "_" for letter in part.name)
    (out / f"{name}.txt").write_text(f"{said}\n{printed}", "utf-8")
    if code == -1:
        return Outcome(part, "TOO LONG", f"ended after {limit_s:.0f} s", seconds)
    verdict, told = judge(part, code, printed, said)
    return Outcome(part, verdict, told, seconds)


def _text(stream: bytes | str | None) -> str:
    return stream.decode(errors="replace") if isinstance(stream, bytes) else stream or ""


def judge(part: Part, code: int, printed: str, said: str) -> tuple[str, str]:
    """Verdict and figures of what a part printed."""
    lines = printed.strip().splitlines()
    if "pytest" in part.arguments:
        return ("ok" if code == 0 else "FAILED"), lines[-1] if lines else "printed nothing"
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = [line for line in said.strip().splitlines() if line.strip()]
        return "FAILED", last[-1][:120] if last else f"exit code {code}"
    try:
        return _figures(part, found)
    except (KeyError, TypeError) as error:
        return "FAILED", f"printed JSON without its figures ({error})"[:120]


def _figures(part: Part, found: dict[str, Any]) -> tuple[str, str]:
    if "final_p99_ms" not in found:  # of hearing
        is_good = found["max_streams"] >= part.streams
        stages = ", ".join(f"{name} {ms:.2f}" for name, ms in found["stages_ms"].items())
        return ("ok" if is_good else "SHORT"), f"{found['max_streams']} calls; ms: {stages}"
    is_good = (
        found["max_streams"] >= part.streams
        and found["final_p99_ms"] is not None
        and found["final_p99_ms"] <= FINAL_MS
        and found["of_roofline"] <= ROOFLINES
    )
    told = (
        f"chunk p99 {found['chunk_p99_ms']} of {found['chunk_ms']} ms, "
        f"final p99 {found['final_p99_ms']} ms, {found['of_roofline']} x roofline"
        f"{' (mark 4)' if found['of_roofline'] > ROOFLINES else ''}, "
        f"left out {100 * found['left_out_share']:.1f} %"
    )
    return ("ok" if is_good else "SHORT"), told


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a part."""
    columns = (
        (f"{of.verdict:8} {of.part.name:28}", f"{of.part.streams or '':>6}", f"{of.seconds:5.0f} s")
        for of in outcomes
    )
    lines = zip(columns, outcomes, strict=True)
    return "\n".join(f"{' '.join(of_one)}  {outcome.told}" for of_one, outcome in lines)


def main(arguments: list[str] | None = None) -> int:
    """0 where all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=580.0, help="of all parts together; 580")
    parser.add_argument("--only", nargs="*", default=[], help="parts whose name begins so")
    parser.add_argument("--small", action="store_true", help="to try the script itself")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + options.seconds
    outcomes: list[Outcome] = []
    for part in parts(options.device, is_small=options.small):
        if options.only and not part.name.startswith(tuple(options.only)):
            continue
        left = end - time.monotonic()
        if left < LEAST_S:
            outcomes.append(Outcome(part, "NOT RUN", "no time left", 0.0))
            continue
        print(f"{part.name} ...", flush=True)
        outcomes.append(run(part, min(part.limit_s, left), options.out))
        print(table(outcomes[-1:]), flush=True)
    print(f"\n{table(outcomes)}", flush=True)
    return 0 if all(outcome.verdict == "ok" for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
