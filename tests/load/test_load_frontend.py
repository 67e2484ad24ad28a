"""Servers as child processes: measured, told in one line what is wrong, and always ended."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from load import figures, frontend
from load.__main__ import INTERRUPTED, MISTAKE, NO_CALL, main
from load.callers import Track
from load.errors import ServerFailed
from load.frontend import Measurement
from load.subjects import Peer, Voicebot, _plan
from voicebot.dialogue.plan import check

ROOT = Path(__file__).parents[2]
BOT = '''\
"""A peer that says 100 ms for each second it hears.

    pip install "websockets"
"""
import asyncio, base64, json, os, sys
from websockets.asyncio.server import serve

async def talk(socket):
    heard = 0
    async for text in socket:
        message = json.loads(text)
        if message["event"] == "media":
            heard += 1
            if heard % 50 == 5:
                payload = base64.b64encode(b"\\x10" * 800).decode()
                media = {"event": "media", "streamSid": message["streamSid"],
                         "media": {"payload": payload}}
                await socket.send(json.dumps(media))
                await socket.send(json.dumps({"event": "mark", "mark": {"name": "m"}}))
            if heard == LIMIT:
                print("had enough", flush=True)
                os._exit(3)
        elif message["event"] == "mark":
            assert message["mark"]["name"] == "m"

async def main():
    async with serve(talk, "127.0.0.1", int(sys.argv[1])):
        await asyncio.get_running_loop().create_future()

LIMIT = 0
asyncio.run(main())
'''
FIGURES: dict[str, Any] = {
    "calls": 3,
    "cpu_ms_per_call_second": 5.5,
    "rss_mb_per_call": 0.5,
    "setup_ms_per_call": 4.0,
    "late_chunks": 0,
    "seconds": 20.0,
    "bot_audible_share": 0.4,
    "ended_early": 0,
    "send_lateness_ms_p99": 1.0,
    "valid": True,
}


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    (tmp_path / "bot.py").write_text(BOT)
    return tmp_path


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phases as short as they can be."""
    for name, value in {
        "CALL_S": 0.2,
        "SETTLE_S": 0.2,
        "WARM_UP_CALLS": 1,
        "SET_UP_CALLS": 2,
    }.items():
        monkeypatch.setattr(frontend, name, value)


@pytest.fixture
def track() -> Track:
    noise = np.random.default_rng(0).normal(0, 3000, 4000)
    return Track([noise.astype(np.int16)])


def is_running(pid: int) -> bool:
    """Not gone, and not only waiting for whoever started it."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


# ---------------------------------------------------------------- measuring


@pytest.mark.e2e
async def test_a_peer_is_measured(peer: Path, track: Track, hurry: None) -> None:
    shown: list[str] = []
    measured = await Measurement(Peer(peer), track, 3, 1.0, shown.append).run()
    assert measured.calls == 3
    assert measured.ended_early == 0
    assert 0 < measured.cpu_ms_per_call_second < 1000
    assert 0 <= measured.setup_ms_per_call < 1000
    assert 0 < measured.bot_audible_share < 0.5
    assert measured.late_chunks is None, "it does not count them"
    assert measured.send_lateness_ms_p99 is not None
    assert shown[0] == "peer: starting the server"
    assert any("placing call 3 of 3" in line for line in shown)


@pytest.mark.e2e
async def test_a_server_that_ends_during_the_run_is_named(
    peer: Path, track: Track, hurry: None
) -> None:
    (peer / "bot.py").write_text(BOT.replace("LIMIT = 0", "LIMIT = 35"))
    with pytest.raises(ServerFailed, match="ended during the run: had enough"):
        await Measurement(Peer(peer), track, 2, 5.0, lambda text: None).run()


@pytest.mark.unit
def test_the_plan_that_keeps_the_bot_talking_is_a_good_one(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(_plan(60.0))
    assert [str(problem) for problem in check(plan)] == []


# ---------------------------------------------------------------- our own server


@pytest.mark.e2e
async def test_our_server_is_measured_with_its_own_count_of_late_chunks(
    track: Track, hurry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("VOICEBOT_SERVER__MAX_CALLS", "1")  # the user's settings do not matter
    measured = await Measurement(Voicebot(2, 20.0), track, 2, 1.0, lambda text: None).run()
    assert measured.late_chunks is not None
    assert measured.ended_early == 0
    assert measured.bot_audible_share > 0, "it greets"


# ---------------------------------------------------------------- the command


@pytest.mark.unit
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--peer", "/no/such"], "--peer /no/such: no bot.py in it"),
        (["--recordings", "/no/such"], "no such folder"),
    ],
)
def test_a_mistake_in_the_frontend_command_is_one_line(
    more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["frontend", "--calls", "1", *more]) == MISTAKE
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.unit
@pytest.mark.parametrize(
    "more",
    [
        ["--calls", "100000"],
        ["--calls", "1", "--peer-calls", "100000"],
        ["--calls", "1", "--seconds", "1e6"],
    ],
)
def test_more_than_a_front_end_can_be_asked_for_is_one_line(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["frontend", *more])
    assert ended.value.code == MISTAKE
    assert " at most" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.unit
@pytest.mark.parametrize("more", [["--calls", "0"], ["--calls", "1", "--seconds", "-1"], []])
def test_wrong_arguments_exit_with_2(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["frontend", *more])
    assert ended.value.code == MISTAKE
    capsys.readouterr()


@pytest.mark.e2e
def test_a_peer_that_lacks_a_package_is_told_with_its_pip_command(
    peer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (peer / "bot.py").write_text(
        BOT.replace("import asyncio", "import no_such_package\nimport asyncio", 1)
    )
    assert main(["frontend", "--calls", "1", "--peer", str(peer)]) == MISTAKE
    error = capsys.readouterr().err
    assert "No module named 'no_such_package'; pip install \"websockets\"" in error
    assert error.count("\n") == 1


@pytest.mark.e2e
def test_a_peer_that_fails_at_its_start_is_one_line(
    peer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (peer / "bot.py").write_text("raise SystemExit('no licence')\n")
    assert main(["frontend", "--calls", "1", "--peer", str(peer)]) == NO_CALL
    assert capsys.readouterr().err == "load: --peer: the server ended at its start: no licence\n"


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_no_child_outlives_the_command(peer: Path, number: signal.Signals) -> None:
    told = peer / "pid"
    # It never listens: the command waits for it, before anything is measured.
    write_pid = f"open({str(told)!r}, 'w').write(str(os.getpid()))"
    (peer / "bot.py").write_text(f"import os, time\n{write_pid}\ntime.sleep(600)\n")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "load", "frontend", "--calls", "1", "--peer", str(peer)),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        while not (told.exists() and told.read_text()):
            assert child.returncode is None
            await asyncio.sleep(0.05)
        child.send_signal(number)
        _, error = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        child._transport.close()  # type: ignore[attr-defined]  # else Python 3.11 warns
    if number is signal.SIGINT:
        assert (child.returncode, error) == (INTERRUPTED, b"load: interrupted\n")
    pid = int(told.read_text())
    for _ in range(100):
        if not is_running(pid):
            return
        await asyncio.sleep(0.05)
    pytest.fail("the server under test is still running")


# ---------------------------------------------------------------- the report


@pytest.mark.unit
def test_the_table_puts_a_peer_beside_us() -> None:
    lines = figures.table({**FIGURES, "peer": {**FIGURES, "late_chunks": None}}).splitlines()
    assert lines[0].split() == ["voicebot", "peer"]
    (late,) = [line for line in lines if line.startswith("late chunks")]
    assert late.split() == ["late", "chunks", "0", "-"]
    assert not any("INVALID" in line for line in lines)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("changed", "why"),
    [({"send_lateness_ms_p99": 7.0}, "the tester itself"), ({"ended_early": 1}, "ended calls")],
)
def test_an_invalid_run_says_why(changed: dict[str, Any], why: str) -> None:
    last = figures.table({**FIGURES, **changed, "valid": False}).splitlines()[-1]
    assert last.startswith("RUN INVALID (voicebot)")
    assert why in last


@pytest.mark.unit
def test_the_keys_of_the_json_are_those_that_others_read() -> None:
    named = {"calls", "cpu_ms_per_call_second", "rss_mb_per_call", "setup_ms_per_call"}
    assert named | {"late_chunks", "valid"} <= set(json.loads(json.dumps(FIGURES)))
    assert set(figures.Figures(**FIGURES).as_dict()) == set(FIGURES)
