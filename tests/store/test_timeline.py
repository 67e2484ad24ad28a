"""Timelines: every event of the house becomes a readable line."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from voicebot import events
from voicebot.errors import SettingsError, UserMistake
from voicebot.store.timeline import Timeline, read_timeline, snake_case

pytestmark = pytest.mark.unit


def written(path: Path, write: Callable[[Timeline], None]) -> list[dict[str, object]]:
    with Timeline(path) as timeline:
        write(timeline)
    return read_timeline(path)


def test_lines_have_time_event_and_data(tmp_path: Path) -> None:
    path = tmp_path / "new" / "timeline.jsonl"
    lines = written(path, lambda t: t.append(12_345, "call_ended", reason="hung up", at_all="é"))
    assert lines == [
        {"at": 12_345, "t": 1.5431, "event": "call_ended", "reason": "hung up", "at_all": "é"}
    ]
    written(path, lambda t: t.append(16_000, "again", event="never", t=0))
    assert [line["event"] for line in read_timeline(path)] == ["call_ended", "again"]


EXAMPLES: list[tuple[object, int, str, dict[str, object]]] = [
    (events.SpeechStarted(800, 1600), 800, "speech_started", {"detected_at": 1600}),
    (
        events.TurnEnded(24_000, events.TurnEndReason.COMPLETE, 8000, 16_000),
        24_000,
        "turn_ended",
        {"reason": "completetimeout", "speech_start_at": 8000, "speech_end_at": 16_000},
    ),
    (events.BargeIn(900, "speech"), 900, "barge_in", {"kind": "speech"}),
    (events.Digit("#", 7), 7, "digit", {"key": "#"}),
    (
        events.Hypothesis("yes", (events.Word("yes", 0.5),), 0.5, end_at=640, is_final=True),
        640,
        "hypothesis",
        {"text": "yes", "is_final": True},
    ),
    (
        events.Interpretation("pay", (events.SlotValue("sum", "1.00"),), 0.5),
        50,
        "interpretation",
        {"slots": [{"name": "sum", "value": "1.00", "text": "", "confidence": 1.0}]},
    ),
    (
        events.Play(("Hi", events.Say("1", "money"))),
        50,
        "play",
        {"parts": ["Hi", {"value": "1", "kind": "money", "pace": ""}], "barge_in": "speech"},
    ),
    (events.PromptHeard(320, "Hi", True), 320, "prompt_heard", {"text": "Hi", "was_cut": True}),
    (events.SpokenPrompt("Hi", b"\xff"), 50, "spoken_prompt", {"text": "Hi"}),
    (events.AudioChunk(160, np.zeros(160, np.int16)), 160, "audio_chunk", {}),
    (
        events.CallerTurn(
            events.TurnEnded(99, events.TurnEndReason.DTMF), events.Hypothesis("x", end_at=90)
        ),
        99,
        "caller_turn",
        {},
    ),
]


@pytest.mark.parametrize(
    ("event", "at", "name", "data"), EXAMPLES, ids=lambda value: str(value)[:20]
)
def test_events_become_lines(
    tmp_path: Path, event: object, at: int, name: str, data: dict[str, object]
) -> None:
    (line,) = written(tmp_path / "t.jsonl", lambda t: t.record(event, 50))
    assert (line["at"], line["event"]) == (at, name)
    assert {key: line[key] for key in data} == data
    assert "mulaw" not in line
    assert "samples" not in line


def test_events_without_time_happen_where_the_last_line_was(tmp_path: Path) -> None:
    def write(timeline: Timeline) -> None:
        timeline.record(events.Digit("1", 4000))
        timeline.record(events.Disconnect("done", True))

    assert written(tmp_path / "t.jsonl", write)[1]["at"] == 4000


def test_every_event_class_has_a_name() -> None:
    names = {
        snake_case(name) for name, value in vars(events).items() if dataclasses.is_dataclass(value)
    }
    assert {"no_input", "caller_hung_up", "call_service", "dtmf"} - names == {"dtmf"}


def test_a_crash_cuts_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    timeline = Timeline(path)
    timeline.append(1, "one")
    timeline.append(2, "two", text="étage")
    data = path.read_bytes()  # not closed: every line is there already
    timeline.close()
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        found = [line["event"] for line in read_timeline(path)]
        assert found == ["one", "two"][: len(found)]
        assert len(found) >= (cut > data.index(b"\n"))
    path.write_bytes(b"[1]\n3\n{}\n" + b'{"at": "x", "event": "y"}\n\xff\n' + data)
    assert [line["event"] for line in read_timeline(path)] == ["one", "two"]


def test_values_of_other_kinds_are_written_somehow(tmp_path: Path) -> None:
    lines = written(
        tmp_path / "t.jsonl",
        lambda t: t.append(0, "odd", a=np.float32(0.5), b=Path("x"), c={"k": (1, None)}, d=b"\xff"),
    )
    assert lines[0]["a"] == 0.5
    assert lines[0]["b"] == "x"
    assert lines[0]["c"] == {"k": [1, None]}
    json.dumps(lines)


def test_mistakes_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="RECORDINGS_DIR"):
        Timeline(tmp_path / "file" / "t.jsonl")
    with pytest.raises(UserMistake, match=r"timeline\.jsonl"):
        read_timeline(tmp_path / "absent")


def test_a_full_disk_ends_the_timeline_not_the_call(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "t.jsonl")
    timeline.close()
    timeline._file = open("/dev/full", "a", buffering=1)  # noqa: SIM115
    with capture_logs() as logs:
        timeline.append(1, "one")
        timeline.append(2, "two")
    assert timeline.has_failed
    timeline.close()
    assert [entry["event"] for entry in logs] == ["timeline failed"]
