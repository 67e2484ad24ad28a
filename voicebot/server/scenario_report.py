"""How scenarios went: for people, for programs, and as JUnit for build servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

from voicebot.errors import UserMistake
from voicebot.server.scenario_runs import Mismatch, Run


def lines(run: Run) -> Iterator[str]:
    """A line for a run, and where it failed what was expected and what came."""
    how = ", spoken" if run.is_spoken else ""
    took = f"{run.seconds * 1000:.0f} ms" if run.seconds < 1 else f"{run.seconds:.1f} s"
    mark = "ok    " if run.is_good else "FAILED"
    yield f"{mark} {run.scenario.name} ({took}{how})"
    if run.problem:
        yield f"  {run.scenario.path}:{run.scenario.line}: {run.problem}"
    last = (0, 0)
    for miss in run.mismatches:
        if (miss.line, miss.turn) != last:
            yield f"  {where(run, miss)}"
            last = (miss.line, miss.turn)
            answer = run.answers[miss.turn - 1] if miss.turn <= len(run.answers) else None
            if answer is not None and answer.heard is not None:
                yield f"    heard: {answer.heard!r}"
            for note in answer.notes if answer is not None else ():
                yield f"    ({note})"
        yield f"    {miss.what} expected: {miss.expected}"
        yield f"    {' ' * len(miss.what)}     came: {miss.came}"


def where(run: Run, miss: Mismatch) -> str:
    """File, line and turn."""
    return f"{run.scenario.path}:{miss.line}: turn {miss.turn}, {miss.title}"


def summary(runs: Sequence[Run]) -> str:
    """The last line."""
    failed = sum(not run.is_good for run in runs)
    total = f"{len(runs)} scenario{'' if len(runs) == 1 else 's'}"
    return f"{total}: all as expected" if not failed else f"{total}: {failed} failed"


def as_dict(runs: Sequence[Run]) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "passed": sum(run.is_good for run in runs),
        "failed": sum(not run.is_good for run in runs),
        "scenarios": [_scenario(run) for run in runs],
    }


def _scenario(run: Run) -> dict[str, object]:
    return {
        "name": run.scenario.name,
        "file": str(run.scenario.path),
        "line": run.scenario.line,
        "passed": run.is_good,
        "spoken": run.is_spoken,
        "ms": round(run.seconds * 1000, 1),
        "problem": run.problem,
        "mismatches": [asdict(miss) for miss in run.mismatches],
        "turns": [
            {
                "turn": turn.title,
                "said": answer.text,
                "heard": answer.heard,
                "state": answer.state,
                "slots": answer.slots,
                "outcome": answer.outcome,
                "response_ms": answer.response_ms,
                "notes": answer.notes,
            }
            for turn, answer in zip(run.scenario.turns, run.answers, strict=False)
        ],
    }


def write_junit(runs: Sequence[Run], path: Path) -> None:
    """JUnit's XML, one suite per file; UserMistake where it cannot be written."""
    root = ElementTree.Element("testsuites", name="voicebot")
    for file in dict.fromkeys(run.scenario.path for run in runs):
        own = [run for run in runs if run.scenario.path == file]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=str(file),
            tests=str(len(own)),
            failures=str(sum(bool(run.mismatches) for run in own)),
            errors=str(sum(bool(run.problem) for run in own)),
            time=f"{sum(run.seconds for run in own):.3f}",
        )
        for run in own:
            _testcase(suite, run)
    try:
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise UserMistake(
            f"test: --junit: {path} cannot be written ({error.strerror}); "
            "name a file in a folder that exists"
        ) from None


def _testcase(suite: ElementTree.Element, run: Run) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=_xml(run.scenario.name),
        classname=run.scenario.path.name.removesuffix(".yaml"),
        file=str(run.scenario.path),
        line=str(run.scenario.line),
        time=f"{run.seconds:.3f}",
    )
    text = _xml("\n".join(list(lines(run))[1:]))
    if run.problem:
        ElementTree.SubElement(case, "error", message=_xml(run.problem)).text = text
    elif run.mismatches:
        first = run.mismatches[0]
        message = f"{first.what}: expected {first.expected}, came {first.came}"
        ElementTree.SubElement(case, "failure", message=_xml(message)).text = text


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(char if char >= " " or char in "\t\n" else "?" for char in text)
