"""new, graph, say and chat, through the real command."""

from __future__ import annotations

import io
import shlex
import sys
import wave
from pathlib import Path

import pytest

from voicebot import cli
from voicebot.dialogue.plan import load_plan
from voicebot.errors import UserMistake
from voicebot.server import saying
from voicebot.server.saying import prompt_of
from voicebot.speech.verbalise import join

pytestmark = pytest.mark.unit

BANK = Path(__file__).parents[2] / "dialplans" / "bank.yaml"
CLINIC = BANK.with_name("clinic.yaml")


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(tmp_path / "cache"))


def chat(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *lines: str
) -> list[str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    assert cli.main(["chat", str(BANK), "--now", "2026-11-20 10:30"]) == 0
    return capsys.readouterr().out.splitlines()


# ---------------------------------------------------------------- new


@pytest.mark.parametrize("name", ["corner shop.yaml", "shop"])
def test_what_is_begun_is_good_and_holds(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = name if name.endswith(".yaml") else f"{name}.yaml"
    assert cli.main(["new", name]) == 0
    assert f"voicebot check {shlex.quote(plan)}; voicebot test" in capsys.readouterr().out
    assert cli.main(["check", plan, plan.replace(".yaml", ".test.yaml")]) == 0
    assert capsys.readouterr().out.count(": good") == 2
    assert cli.main(["test", plan]) == 0
    assert load_plan(plan).name == name.removesuffix(".yaml").capitalize()


@pytest.mark.parametrize("there", ["shop.yaml", "shop.test.yaml"])
def test_nothing_is_overwritten(there: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(there).write_text("mine")
    assert cli.main(["new", "shop.yaml"]) == 2
    assert f"{there} is there already" in capsys.readouterr().err
    assert Path(there).read_text() == "mine"
    assert sorted(path.name for path in Path().iterdir()) == [there]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop.json", "a plan's name ends in .yaml"),
        ("shop.test.yaml", "a plan's name ends in .yaml"),
        ("gone/shop.yaml", "gone/shop.yaml cannot be written"),
    ],
)
def test_names_that_cannot_be(name: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new", name]) == 2
    assert expected in capsys.readouterr().err


# ---------------------------------------------------------------- check


def test_all_that_lies_in_a_folder_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new", "shop.yaml"]) == 0
    Path("bad.yaml").write_text("welcome: Hi.\n")
    Path("notes.txt").write_text("no plan")
    capsys.readouterr()
    assert cli.main(["check", "."]) == 2
    told = capsys.readouterr().out
    assert "bad.yaml:1:" in told
    assert told.count(": good") == 2
    assert "notes" not in told


@pytest.mark.parametrize(
    ("path", "expected"),
    [("empty", "empty holds no plans"), ("gone.yaml", "gone.yaml: there is no such plan")],
)
def test_nothing_to_check(path: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert cli.main(["check", path]) == 2
    assert expected in capsys.readouterr().err


def test_new_needs_a_name_in_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("plans").mkdir()
    assert cli.main(["new", "plans"]) == 2
    assert capsys.readouterr().err == (
        "voicebot: new: plans is a folder; name the plan, such as plans/plan.yaml\n"
    )
    assert not Path("plans.yaml").exists()


# ---------------------------------------------------------------- chat


def test_a_whole_call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = chat(monkeypatch, capsys, "my balance", "/state", "/dtmf 2", "no")
    assert said[0] == "bot   Welcome to Example Bank."
    assert "      at balance/account" in said
    assert "bot   Your savings account balance is eight thousand three hundred dollars." in said
    assert said[-1] == "outcome served, goal reached; account: savings, more: no"


def test_the_end_of_input_ends_the_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(monkeypatch, capsys)[-1] == "outcome hung_up, goal not reached"
    said = chat(monkeypatch, capsys, "/hangup", "never read")
    assert said[-1] == "outcome hung_up, goal not reached"


def test_silence_keys_and_slips(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = chat(monkeypatch, capsys, "/silence", "/dtmf x", "/sure high", "/what", "/dtmf 0")
    assert any("Sorry, I did not hear you." in line for line in said)
    assert "      /dtmf takes keys, 0-9 * # A-D, such as /dtmf 12#" in said
    assert any(line.startswith("      /sure takes a number") for line in said)
    assert any(line.startswith("Type what the caller says.") for line in said)
    assert "      (transfer to +15550100)" in said
    assert said[-1].startswith("outcome agent")


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: str = "") -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    assert cli.main(["chat", str(BANK)]) == 130
    assert capsys.readouterr().err == "voicebot: interrupted\n"


def test_a_time_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["chat", str(BANK), "--now", "noon"]) == 2
    assert "--now is written" in capsys.readouterr().err


# ---------------------------------------------------------------- say


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["Hello", "there."], "Hello there."),
        ([str(BANK)], "Welcome to Example Bank."),
        ([str(BANK), "balance/account"], "Which account? Checking, savings, or credit card?"),
        (
            [str(BANK), "transfer/review"],
            "Transfer twelve dollars and fifty cents from your savings account to your credit card "
            "account. Is that right?",
        ),
        ([str(CLINIC), "drop/reference"], "What is the four digit reference of your appointment?"),
    ],
)
def test_what_is_said(words: list[str], expected: str) -> None:
    parts, language = prompt_of(words)
    assert join(parts, language) == expected


def test_a_prompt_in_another_language_of_the_plan() -> None:
    Path("two.yaml").write_text(
        "languages: {es: {phrases: español}}\n"
        "welcome: {en: Hello., es: Hola.}\n"
        "forms: {main: {enter: {disconnect: done}}}\n"
    )
    assert prompt_of(["two.yaml"]) == (("Hello.",), "en")
    assert prompt_of(["two.yaml", "welcome"], "es") == (("Hola.",), "es")
    assert prompt_of(["Hola."], "es") == (("Hola.",), "es")
    with pytest.raises(UserMistake, match=r"two.yaml has no language 'fr'; it has en, es"):
        prompt_of(["two.yaml"], "fr")


def test_every_place_of_a_plan_can_be_heard() -> None:
    plans = [path for path in BANK.parent.glob("*.yaml") if not path.name.endswith(".test.yaml")]
    assert BANK in plans
    for path in plans:
        for state in load_plan(path).states():
            if not state.endswith("/change"):
                assert join(*prompt_of([str(path), state])).strip(), state


def test_a_file_as_callers_hear_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["say", "Good", "morning.", "-o", "a.wav"]) == 0
    assert capsys.readouterr().out == "Good morning.\na.wav: written\n"
    with wave.open("a.wav") as file:
        assert (file.getframerate(), file.getnchannels()) == (8000, 1)
        assert 0.3 < file.getnframes() / 8000 < 3.0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([str(BANK), "balance/acount"], "did you mean 'balance/account'?"),
        ([str(BANK), "main", "more"], "one state at a time; more is too much"),
        (["gone.yaml", "main"], "gone.yaml: there is no such plan"),
        ([" "], "no words to speak"),
        (["hello", "-o", str(BANK)], "does not end in .wav"),
        (["hello", "-o", "gone/a.wav"], "gone/a.wav cannot be written"),
        (["hello"], "no player found on this machine; write a file with -o FILE.wav"),
    ],
)
def test_what_cannot_be_said(
    arguments: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = BANK.read_bytes()
    monkeypatch.setattr(saying, "PLAYERS", (("no-such-player",),))
    assert cli.main(["say", *arguments]) == 2
    assert expected in capsys.readouterr().err
    assert BANK.read_bytes() == before


# ---------------------------------------------------------------- test


def test_a_report_that_cannot_be_written_is_told_before_the_calls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["test", str(BANK), "--text", "--junit", "gone/report.xml"]) == 2
    told = capsys.readouterr()
    assert "gone/report.xml cannot be written" in told.err
    assert not told.out


# ---------------------------------------------------------------- graph


def test_a_graph_of_a_journal_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["graph", str(BANK), "-o", "a.svg", "--calls", "gone.sqlite"]) == 2
    assert "gone.sqlite: there is no such file" in capsys.readouterr().err
    assert not Path("a.svg").exists()


# ---------------------------------------------------------------- chat, kept and gone on with


def keep(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *lines: str, args: str
) -> str:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    assert cli.main(["chat", str(BANK), "--now", "2026-11-20 10:30", *args.split()]) == 0
    return capsys.readouterr().out


def test_a_call_is_kept_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "transfer fifty dollars from checking to savings"
    shown = keep(monkeypatch, capsys, said, args="--save call.json")
    assert shown.endswith("the call waits in call.json; go on with --resume call.json\n")
    shown = keep(monkeypatch, capsys, "yes", "no", args="--save call.json --resume call.json")
    assert shown.startswith("bot   Transfer fifty dollars from your checking account")
    assert "I have moved fifty dollars" in shown
    assert "outcome served, goal reached" in shown
    shown = keep(monkeypatch, capsys, args="--resume call.json")
    assert shown.startswith("outcome served, goal reached")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("--resume gone.json", "chat: --resume: gone.json cannot be read (No such file"),
        ("--resume bad.json", "bad.json holds no call of this plan: "),
        ("--save gone/call.json", "chat: --save: gone/call.json cannot be written (No such file"),
    ],
)
def test_calls_that_cannot_be_kept_or_gone_on_with(
    args: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.json").write_text("[" * 100_000)
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello\n"))
    assert cli.main(["chat", str(BANK), *args.split()]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
