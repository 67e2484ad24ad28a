"""Mistakes of the person at the keyboard, through the real command: exit code 2, one line.

In this process where possible; as a process of its own where stdout, stderr and the exit code
are the point.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import structlog
from hostile import PLANS

from voicebot import cli
from voicebot.asr import checkpoint, wheel

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
GOOD = """\
name: Good
forms:
  main:
    fields:
      size:
        prompt: Which size?
        choices: [small, large]
    filled:
      - disconnect: done
"""


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder and an environment in which nothing is set."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("VOICEBOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(tmp_path / "cache"))
    yield
    structlog.reset_defaults()  # the command configures logging for its process


class Said:
    """What a command returned and printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def is_one_line(self, *words: str) -> None:
        """Exit code 2 and a single line with these words."""
        assert self.code == 2, (self.code, self.out, self.err)
        lines = [line for line in (self.out + self.err).splitlines() if line]
        assert len(lines) == 1, lines
        assert "Traceback" not in lines[0]
        for word in words:
            assert word in lines[0]


@pytest.fixture
def voicebot(capfd: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: object) -> Said:
        capfd.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        return Said(code, *capfd.readouterr())

    return run


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def tone(path: Path) -> Path:
    wave = np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000) * 0.3
    soundfile.write(path, wave, 8000)
    return path


# ---------------------------------------------------------------- dialplans

BAD_PLANS = {
    "a typo": (GOOD.replace("prompt:", "promt:"), "bad.yaml:6", "prompt"),
    "an unknown state": (
        GOOD.replace("disconnect: done", "goto: mian"),
        "bad.yaml:9",
        "mian",
    ),
    "a loop without exit": (
        GOOD.replace("disconnect: done", "goto: again")
        + "  again:\n    filled:\n      - goto: round\n"
        + "  round:\n    filled:\n      - goto: again\n",
        "bad.yaml:3",
        "loop without exit",
    ),
    "a missing prompt": (GOOD.replace("        prompt: Which size?\n", ""), "bad.yaml:5", "prompt"),
    "no yaml": ("forms: [", "bad.yaml:1", "YAML"),
    "nothing": ("", "bad.yaml", ""),
    "binary": ("\x00\x01", "bad.yaml", ""),
    "a service that is not there": (
        GOOD + "services:\n  s: {python: 'nowhere:f'}\n",
        "nowhere",
        "",
    ),
}


@pytest.mark.parametrize("command", ["check", "serve", "graph", "call", "transcribe"])
@pytest.mark.parametrize("mistake", BAD_PLANS)
def test_a_bad_dialplan(voicebot: Any, tmp_path: Path, command: str, mistake: str) -> None:
    text, where, what = BAD_PLANS[mistake]
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    arguments = {
        "check": [path],
        "serve": ["--dialplan", path, "--port", "0"],
        "graph": [path, "-o", tmp_path / "bad.svg"],
        "call": ["--dialplan", path, "--dtmf", "1"],
        "transcribe": ["--dialplan", path, tone(tmp_path / "a.wav")],
    }
    said = voicebot(command, *arguments[command])
    if command == "check":  # lists all problems
        assert said.code == 2
        assert said.err == ""
        assert where in said.out
        assert what in said.out
    else:
        said.is_one_line(where, what)
    assert not (tmp_path / "bad.svg").exists()


@pytest.mark.parametrize("command", ["check", "serve", "call"])
@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_dialplan_that_is_no_file(voicebot: Any, command: str, name: str) -> None:
    arguments = {
        "check": [name],
        "serve": ["--dialplan", name],
        "call": ["--dialplan", name, "--dtmf", "1"],
    }
    said = voicebot(command, *arguments[command])
    said.is_one_line(name)


# ---------------------------------------------------------------- audio


AUDIO = {
    "missing": None,
    "empty": b"",
    "text": b"these are words",
    "cut header": b"RIFF\x00\x00\x00\x00WAVEfmt ",
    "rubbish": bytes(range(256)) * 20,
}


@pytest.mark.parametrize("kind", AUDIO)
def test_corrupt_audio_for_a_call(voicebot: Any, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "corrupt.wav"
    if (content := AUDIO[kind]) is not None:
        path.write_bytes(content)
    voicebot("call", "--dialplan", PLANS / "bank.yaml", "--audio", path).is_one_line("corrupt.wav")


def test_corrupt_audio_among_good_files(
    voicebot: Any, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each bad file is one line; the good ones are transcribed all the same."""
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(weights))
    paths = []
    for name, content in AUDIO.items():
        paths.append(tmp_path / f"{name}.wav")
        if content is not None:
            paths[-1].write_bytes(content)
    good = tone(tmp_path / "good.wav")
    said = voicebot("transcribe", *paths, tmp_path, good)
    assert said.code == 2
    assert len(said.err.splitlines()) == len(paths) + 1
    assert [line.split("\t")[0] for line in said.out.splitlines()] == [str(good)]


# ---------------------------------------------------------------- the model


def test_no_model_cache_and_no_network(voicebot: Any, tmp_path: Path, no_network: None) -> None:
    said = voicebot("transcribe", tone(tmp_path / "a.wav"))
    assert (said.code, said.err) == (0, "")
    assert not list(tmp_path.glob("cache/*")), "the shipped recogniser needs no conversion"


@pytest.fixture
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package without its recogniser: the untouched weights serve."""
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "telephone.safetensors")


def test_an_untouched_recogniser_is_converted_once(
    voicebot: Any, tmp_path: Path, no_network: None, nothing_shipped: None
) -> None:
    said = voicebot("transcribe", tone(tmp_path / "a.wav"))
    assert (said.code, said.err) == (0, "")
    assert list((tmp_path / "cache").glob("*.safetensors"))


@pytest.mark.parametrize("command", ["transcribe", "serve", "call"])
def test_no_model_cache_and_no_wheel(
    voicebot: Any, tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(wheel, "PACKAGE", "moonshine_that_is_not_installed")
    arguments = {
        "transcribe": [tone(tmp_path / "a.wav")],
        "serve": ["--dialplan", PLANS / "barista.yaml", "--port", "0"],
        "call": ["--dialplan", PLANS / "barista.yaml", "--dtmf", "1"],
    }
    if command != "transcribe":
        monkeypatch.undo()  # they need loopback
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setattr(wheel, "PACKAGE", "moonshine_that_is_not_installed")
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "telephone.safetensors")
    said = voicebot(command, *arguments[command])
    said.err = said.err or said.out
    assert said.code == 2
    assert "pip install moonshine-voice==" in said.err
    assert len(said.err.splitlines()) == 1
    assert "Traceback" not in said.err + said.out


def test_a_damaged_cache_is_converted_again(
    voicebot: Any, tmp_path: Path, weights: Path, nothing_shipped: None
) -> None:
    (kept,) = weights.glob("*.safetensors")
    (tmp_path / "cache").mkdir()
    copy = tmp_path / "cache" / kept.name
    copy.write_bytes(kept.read_bytes()[:1_000_000])
    assert voicebot("transcribe", tone(tmp_path / "a.wav")).code == 0
    assert copy.stat().st_size == kept.stat().st_size


def test_a_cache_that_cannot_be_written(
    voicebot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_shipped: None
) -> None:
    """Also for root, whom no permission stops: the folder would lie below a file."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(tmp_path / "file" / "cache"))
    said = voicebot("transcribe", tone(tmp_path / "a.wav"))
    assert said.code == 0
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) <= 1


# ---------------------------------------------------------------- settings, port, process


SETTINGS = {
    "VOICEBOT_SERVER__PORT": ("seven", "server.port"),
    "VOICEBOT_SERVER__HOST": ("203.0.113.9", "server.host"),
    "VOICEBOT_ENVIRONMENT": ("production", "AUTH_TOKEN"),
    "VOICEBOT_STORE__JOURNAL": (".", "journal"),
    "VOICEBOT_SPEECH__VOICE": ("espeak:nobody", "nobody"),
    "VOICEBOT_ASR__SERVICE": ("nowhere.stt:Class", "nowhere"),
    "VOICEBOT_SERVER__PUBLIC_URL": ("ftp://bot.example", "public_url"),
}


@pytest.mark.parametrize("variable", SETTINGS)
def test_settings_that_cannot_be(
    voicebot: Any, monkeypatch: pytest.MonkeyPatch, weights: Path, variable: str
) -> None:
    value, word = SETTINGS[variable]
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(weights))
    monkeypatch.setenv(variable, value)
    given = ["--port", "0"] if variable != "VOICEBOT_SERVER__PORT" else []
    voicebot("serve", "--dialplan", PLANS / "barista.yaml", *given).is_one_line(word)


def test_recordings_that_cannot_be_kept(
    voicebot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    """Known when the server starts, not when the first caller rings."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(weights))
    monkeypatch.setenv("VOICEBOT_STORE__RECORDINGS", "true")
    monkeypatch.setenv("VOICEBOT_STORE__RECORDINGS_DIR", str(tmp_path / "file" / "calls"))
    said = voicebot("call", "--dialplan", PLANS / "barista.yaml", "--dtmf", "1")
    said.is_one_line("RECORDINGS_DIR")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "ftp://127.0.0.1"])
def test_a_call_to_where_nobody_listens(voicebot: Any, url: str) -> None:
    voicebot("call", "--to", url, "--dtmf", "1").is_one_line()


def test_a_port_in_use_as_a_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        plan, port = str(PLANS / "bank.yaml"), str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "voicebot.cli", "serve", "--port", port, "--dialplan", plan],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    Said(done.returncode, done.stdout, done.stderr).is_one_line(port, "in use")
