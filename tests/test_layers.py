"""Imports point down only, and heavy or effectful libraries stay in their rooms."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent
LAYERS = [
    {"cli", "server", "__main__"},
    {"pipeline", "learning", "evaluation"},
    {"engine", "store", "monitoring"},
    {"telephony", "audio", "turns", "asr", "nlu", "dialogue", "speech"},
    # patterns: what dialogues write is read by understanding and recognition alike.
    # compiled: loops of several rooms.
    {"events", "errors", "config", "patterns", "compiled"},
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
PURE_ROOMS = LAYERS[3]
# Where each library may be imported (path prefixes under voicebot/), with the reason.
MAY_IMPORT = {
    "pipecat": ["pipeline/", "server/call.py"],
    "numba": ["compiled.py"],
    "asyncio": [
        "engine/engine.py",
        "pipeline/",
        "server/",
        "store/",
        "cli.py",
        "telephony/dialer.py",  # the simulator's socket side: it stands for Twilio, not for us
    ],
    "torch": [
        "asr/",
        "turns/vad.py",
        "turns/hotword.py",
        "nlu/intents.py",
        "nlu/intents_regression.py",  # the linear algebra of the former
        "engine/runner.py",
        "engine/hearing_device/",  # what `engine.hearing` computes, for thousands of calls on a GPU
        "learning/",
        "evaluation/",
    ],
    "onnxruntime": [
        "asr/",
        "turns/vad.py",
        "turns/hotword.py",
        "turns/smart_turn.py",
        "nlu/intents.py",
        "engine/runner.py",
        "learning/",
        "evaluation/",
    ],
    # PyYAML's composer is what knows the line of an author's mistake.
    "yaml": ["dialogue/source.py", "asr/nemo_archive.py"],
    "structlog": ["monitoring/", "engine/engine.py", "pipeline/", "server/", "store/", "cli.py"],
}
STDLIB_AND_PYDANTIC = {
    "dialogue": set(),
    "telephony": {"simulator.py", "call_control.py", "dialer.py"},
}
BUILDS_SETTINGS = {"cli.py", "server/"}


def modules() -> list[Path]:
    return sorted((ROOT / "voicebot").rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute module) of every import; TYPE_CHECKING blocks count too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, node.module or ""
            if node.module == "voicebot":
                yield from ((node.lineno, f"voicebot.{alias.name}") for alias in node.names)


def inside(path: Path) -> str:
    return path.relative_to(ROOT / "voicebot").as_posix()


def room_of(name: str) -> str:
    return name.split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=inside)
def test_imports_point_down_only(path: Path) -> None:
    room = room_of(inside(path))
    if room == "__init__":
        assert list(imports(path)) == []
        return
    for line, name in imports(path):
        parts = name.split(".")
        if parts[0] != "voicebot" or len(parts) == 1:
            continue
        other = parts[1]
        # Whoever uses an event need not know which of its modules holds it.
        assert other != "events" or room == "events" or len(parts) < 3, (
            f"{path}:{line}: import it from voicebot.events"
        )
        assert other == room or RANK[room] < RANK[other] or RANK[room] == RANK[other] in {0, 4}, (
            f"{path}:{line}: {room} imports {other}"
        )


@pytest.mark.parametrize("path", modules(), ids=inside)
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    name = inside(path)
    for line, module in imports(path):
        allowed = MAY_IMPORT.get(module.split(".")[0])
        assert allowed is None or any(name.startswith(prefix) for prefix in allowed), (
            f"{path}:{line}: {module} is not allowed here"
        )


@pytest.mark.parametrize("path", modules(), ids=inside)
def test_rooms_neither_log_nor_read_settings_nor_the_clock(path: Path) -> None:
    name = inside(path)
    for line, module in imports(path):
        if room_of(name) in PURE_ROOMS:
            assert module.split(".")[0] not in {"logging", "structlog", "loguru"}, f"{path}:{line}"
            if name != "telephony/dialer.py":
                assert module != "time", f"{path}:{line}: time is an argument"
        if module == "voicebot.config":
            assert any(name.startswith(prefix) for prefix in BUILDS_SETTINGS), f"{path}:{line}"


@pytest.mark.parametrize("path", modules(), ids=inside)
def test_plain_rooms_use_stdlib_and_pydantic(path: Path) -> None:
    import sys

    name = inside(path)
    excepted = STDLIB_AND_PYDANTIC.get(room_of(name))
    if excepted is None or name.split("/")[-1] in excepted:
        return
    allowed = {*sys.stdlib_module_names, "pydantic", "pydantic_core", "voicebot"}
    allowed |= {library for library, where in MAY_IMPORT.items() if name in where}
    for line, module in imports(path):
        assert module.split(".")[0] in allowed, f"{path}:{line}: {module}"


def test_load_tests_from_outside() -> None:
    for path in sorted((ROOT / "load").rglob("*.py")):
        for line, module in imports(path):
            parts = module.split(".")
            if parts[0] == "voicebot" and len(parts) > 1:
                # The voice speaks for callers where no recordings are given.
                assert parts[1] in {"telephony", "audio", "speech"}, f"{path}:{line}: {module}"
