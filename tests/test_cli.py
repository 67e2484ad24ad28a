"""The `voicebot` command as a person uses it: mistakes, exit codes, what it prints and leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from voicebot import cli
from voicebot.asr.checkpoint import load_weights
from voicebot.config import load_settings
from voicebot.errors import SettingsError, UserMistake
from voicebot.server.placing import server_url

ROOT = Path(__file__).parent.parent
PLANS = ROOT / "dialplans"
COMMAND = [sys.executable, "-m", "voicebot.cli"]
PLAN = """\
name: Sizes
forms:
  order:
    fields:
      size:
        prompt: Which size?
        choices:
          small: {dtmf: "1"}
          large: {dtmf: "2"}
      sure: {type: yes_no, prompt: "Sure?"}
    filled:
      - disconnect: {outcome: ordered, goal: true}
"""


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    load_weights(folder)
    return folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a plan, and an environment in which nothing is set."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("VOICEBOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "plan.yaml").write_text(PLAN)
    yield tmp_path
    structlog.reset_defaults()  # the command configures logging for its process


@pytest.fixture
def with_weights(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(weights))


@pytest.fixture
def voicebot(capfd: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return run


# ---------------------------------------------------------------- mistakes

MISTAKES = {
    "": "COMMAND is missing",
    "chek plan.yaml": "did you mean check?",
    "dance": "there are demo, serve",
    "check": "PATH is missing",
    "call --dialplna plan.yaml": "did you mean --dialplan?",
    "call --dialplan plan.yaml": "nothing to say",
    "call --dtmf 1": "add --dialplan PATH",
    "call --dialplan plan.yaml --say": "expected at least one argument",
    "call --dialplan plan.yaml --dtmf 1 --over -1": "'-1' is no number of seconds",
    "call --dialplan plan.yaml --dtmf 1 --over soon": "'soon' is no number of seconds",
    "call --dialplan plan.yaml --dtmf 1 --over nan": "'nan' is no number of seconds",
    "call --dialplan plan.yaml --dtmf 12x": "'X' in '12x' is no key",
    "call --to 127.0.0.1:99999 --dtmf 1": "no address of a server",
    "call --to ftp://host --dtmf 1": "no address of a server",
    "call --to 127.0.0.1:1 --dialplan missing.yaml --dtmf 1": "missing.yaml:1",
    "serve --dialplan plan.yaml --port 99999": "'99999' is no port",
    "serve --dialplan plan.yaml --port -1": "'-1' is no port",
    "serve": "no dialplan",
    "transcribe": "FILE is missing",
    "transcribe --state order a.wav": "--state needs --dialplan",
    "transcribe --dialplan plan.yaml --state ordr a.wav": "states are order/size",
    "graph plan.yaml": "-o/--output is missing",
    "graph plan.yaml -o plan.yaml": "does not end in .svg",
    "graph plan.yaml -o nowhere/plan.svg": "name a file in a folder that exists",
    "demo --dialplan missing.yaml": "missing.yaml:1",
    "demo --dialplan plan.yaml": "only knows the barista plan",
    "demo --runs plan.yaml": "--runs",
}


@pytest.mark.unit
@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_and_2(voicebot: Any, line: str) -> None:
    code, out, err = voicebot(*line.split())
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("voicebot: ")
    assert MISTAKES[line] in err


@pytest.mark.unit
@pytest.mark.parametrize("turn", [["--say", ""], ["--say", "hello", " "], ["--dtmf", ""]])
def test_empty_turns(voicebot: Any, turn: list[str]) -> None:
    code, out, err = voicebot("call", "--dialplan", "plan.yaml", *turn)
    assert (code, out, len(err.splitlines())) == (2, "", 1)


@pytest.mark.unit
def test_a_plan_is_never_overwritten(voicebot: Any, place: Path) -> None:
    assert voicebot("graph", "plan.yaml", "-o", "plan.yaml")[0] == 2
    assert (place / "plan.yaml").read_text() == PLAN


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("https://voice.example.com/twilio/voice", "https://voice.example.com"),
    ],
)
def test_addresses_as_people_write_them(text: str, url: str) -> None:
    assert server_url(text) == url


@pytest.mark.unit
@pytest.mark.parametrize("text", ["", "http://", "ws://host", "host:x", "http://[", "a b", "h:0"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(UserMistake, match="no address of a server"):
        server_url(text)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("VOICEBOT_ASR__THREDS", "2", "did you mean VOICEBOT_ASR__THREADS?"),
        ("VOICEBOT_ASR_THREADS", "2", "did you mean VOICEBOT_ASR__THREADS?"),
        ("VOICEBOT_ASRR__THREADS", "2", "did you mean VOICEBOT_ASR__THREADS?"),
        ("VOICEBOT_ASR__THREADS", "two", "asr.threads"),
        ("VOICEBOT_ASR__SERVICE_OPTIONS", "{bad", "look at VOICEBOT_ASR__SERVICE_OPTIONS"),
        ("VOICEBOT_SERVER__API_TOKEN", "söcret", "printable ASCII"),
        ("VOICEBOT_ENVIRONMENT", "prod", "environment"),
    ],
)
def test_settings(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert "söcret" not in str(caught.value)


@pytest.mark.unit
def test_misspelt_lines_of_the_env_file(place: Path) -> None:
    (place / ".env").write_text("VOICEBOT_SPEECH__VOCIE=espeak:en-us\n")
    with pytest.raises(SettingsError, match="did you mean VOICEBOT_SPEECH__VOICE"):
        load_settings()
    (place / ".env").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        load_settings()


@pytest.mark.unit
def test_variables_that_orchestrators_set_are_let_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEBOT_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("VOICEBOT_SERVICE_HOST", "10.0.0.1")
    assert load_settings().server.port == 8080


@pytest.mark.unit
def test_a_full_disk_is_one_line(place: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "check", "plan.yaml"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "No space left" in done.stderr


# ---------------------------------------------------------------- plans


@pytest.mark.unit
def test_check_prints_a_line_per_problem_and_goes_on(voicebot: Any, place: Path) -> None:
    (place / "bad.yaml").write_text(PLAN.replace("small: {", 'small: {phrases: ["(tiny"], '))
    code, out, err = voicebot("check", "missing.yaml", "bad.yaml", "plan.yaml")
    assert (code, err) == (2, "")
    lines = out.splitlines()
    assert lines[0].startswith("missing.yaml:1: ")
    assert lines[1].startswith("bad.yaml:8: field 'size': phrase '(tiny'")
    assert lines[2:] == ["plan.yaml: good"]


@pytest.mark.unit
def test_check_knows_what_phrases_may_stand_for(voicebot: Any, place: Path) -> None:
    """As understanding sees them: the dialogue alone counts brackets only."""
    many = " ".join(["(a|b|c|d)"] * 6)
    (place / "bad.yaml").write_text(PLAN.replace("fields:", f'phrases: ["{many}"]\n    fields:', 1))
    code, out, _ = voicebot("check", "bad.yaml")
    assert code == 2
    assert "bad.yaml:4: form 'order': " in out
    assert "more than 512 phrases" in out


@pytest.mark.unit
@pytest.mark.parametrize("plan", ["bank.yaml", "barista.yaml"])
def test_the_shipped_plans_are_good(voicebot: Any, plan: str) -> None:
    assert voicebot("check", PLANS / plan) == (0, f"{PLANS / plan}: good\n", "")


@pytest.mark.unit
def test_graph_writes_svg_to_a_file_or_stdout(voicebot: Any, place: Path) -> None:
    assert voicebot("graph", "plan.yaml", "-o", "plan.svg") == (0, "plan.svg: written\n", "")
    code, out, err = voicebot("graph", "plan.yaml", "-o", "-")
    assert (code, err) == (0, "")
    assert out.strip() == (place / "plan.svg").read_text().strip()
    assert out.startswith("<svg")


# ---------------------------------------------------------------- recognition and doctor


def tone(path: Path, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack("<2h", 3000, -3000) * rate)
    return path


@pytest.mark.pipeline
@pytest.mark.usefixtures("with_weights")
def test_transcribe_prints_an_object_per_file_also_for_bad_ones(voicebot: Any, place: Path) -> None:
    good, other = tone(place / "a.wav"), tone(place / "b.wav", 44100)
    (place / "text.wav").write_text("these are words")
    code, out, err = voicebot(
        "transcribe", "--json", "--dialplan", "plan.yaml", good, "missing.wav", "text.wav", other
    )
    results = [json.loads(line) for line in out.splitlines()]
    assert code == 2
    assert [Path(result["file"]).name for result in results] == [
        "a.wav",
        "missing.wav",
        "text.wav",
        "b.wav",
    ]
    keys = {"file", "text", "confidence", "nbest", "words", "seconds", "decode_ms", "written"}
    keys |= {"intent", "slots"}
    assert all(keys <= set(results[index]) for index in (0, 3))
    assert results[3]["seconds"] == 2.0
    assert [set(results[index]) for index in (1, 2)] == [{"file", "error"}] * 2
    assert len(err.splitlines()) == 2


@pytest.mark.pipeline
@pytest.mark.usefixtures("with_weights")
def test_doctor_fails_when_one_thing_is_bad(
    voicebot: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEBOT_SERVER__PORT", "0")
    code, out, _ = voicebot("doctor")
    assert code == 0, out
    whats = [line[4:].split(":")[0].strip() for line in out.splitlines()]
    assert {"recogniser", "cache", "voice", "port", "journal", "recordings"} <= set(whats)
    assert not (place / "runs").exists()  # it leaves nothing behind

    with socket.create_server(("127.0.0.1", 0)) as taken:
        (place / "text").write_text("no database, and no folder")
        monkeypatch.setenv("VOICEBOT_SERVER__PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("VOICEBOT_STORE__JOURNAL", "text")
        monkeypatch.setenv("VOICEBOT_STORE__TIMELINES", "true")
        monkeypatch.setenv("VOICEBOT_STORE__RECORDINGS_DIR", "text/calls")
        monkeypatch.setenv("VOICEBOT_SPEECH__VOICE", "espeak:nobody")
        code, out, _ = voicebot("doctor")
    assert code == 1
    bad = [line.split(":")[0] for line in out.splitlines() if line.startswith("BAD")]
    assert bad == ["BAD  voice", "BAD  port", "BAD  journal", "BAD  recordings"]


# ---------------------------------------------------------------- calls


@pytest.mark.e2e
@pytest.mark.usefixtures("with_weights")
def test_call_prints_exactly_one_object(voicebot: Any) -> None:
    code, out, err = voicebot(
        "call", "--dialplan", "plan.yaml", "--json", "--dtmf", "2", "--dtmf", "1"
    )
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert (report["outcome"], report["goal"], report["end_reason"]) == (
        "ordered",
        True,
        "server_closed",
    )
    assert report["slots"] == {"size": "large", "sure": "yes"}
    assert report["greeting"] == "Which size?"
    assert report["transfer_to"] is None
    assert report["errors"] == []
    assert [turn["heard"] for turn in report["turns"]] == ["2", "1"]
    first = report["turns"][0]
    assert set(first) >= {
        *("state", "by", "said", "heard", "confidence", "intent", "slots"),
        *("bot", "bot_heard", "response_ms", "barge_in_ms"),
    }
    assert (first["said"], first["slots"], first["bot"]) == ("2", {"size": "large"}, "Sure?")
    assert first["response_ms"] > 0


@pytest.mark.e2e
@pytest.mark.usefixtures("with_weights")
def test_demo_reaches_its_goal_and_leaves_its_files(voicebot: Any, place: Path) -> None:
    code, out, err = voicebot("demo", "--runs", "kept")
    assert (code, err) == (0, ""), out
    assert "goal reached" in out
    (folder,) = (place / "kept").iterdir()
    with wave.open(str(folder / "recording.wav")) as recording:
        assert recording.getnchannels() == 2
        assert recording.getnframes() > 5 * recording.getframerate()
    lines = (folder / "timeline.jsonl").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert (folder / "call.png").read_bytes().startswith(b"\x89PNG")
    for name in ("recording.wav", "timeline.jsonl", "call.png"):
        assert f"{Path('kept') / folder.name / name}" in out
    assert not (place / "runs").exists()


@pytest.mark.e2e
@pytest.mark.usefixtures("with_weights")
def test_sigterm_lets_the_call_finish_and_then_exits_0(place: Path) -> None:
    server = subprocess.Popen(
        [*COMMAND, "serve", "--dialplan", "plan.yaml", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stderr is not None
    with server:
        url = server.stdout.readline().split()[-1]
        caller = subprocess.Popen(
            [*COMMAND, "call", "--to", url, "--json", "--dtmf", "1", "--dtmf", "1"],
            stdout=subprocess.PIPE,
            text=True,
        )
        with caller:
            for line in server.stderr:
                if "call started" in line:
                    break
            server.send_signal(signal.SIGTERM)
            logged: list[str] = []
            reader = threading.Thread(target=lambda: logged.extend(server.stderr or ()))
            reader.start()  # a full pipe would hold the server up
            out, _ = caller.communicate(timeout=60)
        assert server.wait(timeout=30) == 0
        reader.join()
    assert caller.returncode == 0, out
    # The server may be gone before the caller has asked it how the call ended; its journal stays.
    with closing(sqlite3.connect(place / "runs" / "journal.sqlite")) as journal:
        (ended,) = journal.execute("SELECT outcome, is_goal FROM calls").fetchall()
    assert ended == ("ordered", 1)
    assert not [line for line in logged if '"level": "error"' in line]


@pytest.mark.e2e
@pytest.mark.usefixtures("with_weights")
def test_a_call_ends_when_the_reader_of_its_output_leaves() -> None:
    process = subprocess.Popen(
        [*COMMAND, "call", "--dialplan", "plan.yaml", "--dtmf", "1", "--dtmf", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        assert process.stdout.readline().startswith("loading")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == cli.READER_LEFT


@pytest.mark.e2e
@pytest.mark.usefixtures("with_weights")
def test_ctrl_c_while_loading_is_one_line() -> None:
    process = subprocess.Popen(
        [*COMMAND, "call", "--dialplan", "plan.yaml", "--dtmf", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        assert process.stdout.readline().startswith("loading")
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "voicebot: interrupted\n"
    assert process.returncode == cli.INTERRUPTED


@pytest.mark.e2e
@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"220 mail"]
)
def test_a_call_to_what_is_no_voicebot(voicebot: Any, reply: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

        other = threading.Thread(target=answer)
        other.start()
        code, out, err = voicebot(
            "call", "--to", f"127.0.0.1:{listening.getsockname()[1]}", "--dtmf", "1"
        )
        other.join()
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "is it a voicebot server?" in err
