"""Logs: one JSON object a line, the call's id on it, and nothing that a caller said."""

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger as loguru_logger

from voicebot.events import Interpretation, SlotValue
from voicebot.monitoring.logs import bind_call, configure_logging
from voicebot.monitoring.redaction import PERSONAL_KEYS, mask_numbers, redact

pytestmark = pytest.mark.unit

log = structlog.get_logger("voicebot.somewhere")  # before configuration, as modules do
SECRET = "savings account of Ada"


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    loguru_logger.remove()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_one_json_object_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    log.info("call ended", outcome="paid", is_goal=True, seconds=1.5, missing=None, n=[1, "a"])
    (line,) = lines(capsys)
    assert line.pop("timestamp")
    assert line == {
        "event": "call ended",
        "level": "info",
        "logger": "voicebot.somewhere",
        "outcome": "paid",
        "is_goal": True,
        "seconds": 1.5,
        "missing": None,
        "n": [1, "a"],
    }


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("error", 1)])
def test_level(capsys: pytest.CaptureFixture[str], level: str, count: int) -> None:
    configure_logging(level)  # type: ignore[arg-type]
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("something")
    assert len(lines(capsys)) == count


async def test_each_call_has_its_id_on_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    turn = asyncio.Event()

    async def one(call_sid: str) -> None:
        with bind_call(call_sid):
            log.info("started")
            await asyncio.create_task(inner(call_sid))
            logging.getLogger("lib").warning("from a library")
            loguru_logger.warning("from pipecat")

    async def inner(call_sid: str) -> None:
        if call_sid == "CA2":
            turn.set()
        await turn.wait()
        log.info("inner", expected=call_sid)

    await asyncio.gather(one("CA1"), one("CA2"))
    log.info("outside")
    found = lines(capsys)
    assert sorted(line.get("call_sid", "") for line in found) == [""] + ["CA1"] * 4 + ["CA2"] * 4
    assert all(line["call_sid"] == line["expected"] for line in found if "expected" in line)


def test_marked_keys_are_masked_wherever_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    for key in PERSONAL_KEYS:
        log.info("turn", **{key: SECRET})
    log.info("turn", data={"turns": [{"caller_text": SECRET, "confidence": 0.5}]}, text="")
    log.info("turn", meaning=Interpretation("pay", (SlotValue("sum", SECRET),)), raw=b"Ada")
    text = capsys.readouterr().err
    assert "Ada" not in text
    assert "savings" not in text
    rows = [json.loads(row) for row in text.splitlines()]
    assert rows[-2]["data"] == {"turns": [{"caller_text": "***", "confidence": 0.5}]}
    assert rows[-2]["text"] == ""
    assert rows[-1]["meaning"] == "<Interpretation>"


def test_personal_data_when_switched_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_personal_data=True)
    log.info("turn", caller_text=SECRET, from_="+15550100123")
    logging.getLogger("lib").warning("said %s", SECRET)
    loguru_logger.warning(f"said {SECRET}")
    found = lines(capsys)
    assert found[0]["caller_text"] == SECRET
    assert found[0]["from_"] == "+15550100123"
    assert found[1]["event"] == found[2]["event"] == f"said {SECRET}"


def test_exceptions_show_type_and_place_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    try:
        try:
            int(SECRET)
        except ValueError as error:
            raise KeyError(SECRET) from error
    except KeyError as error:
        log.exception("service failed")
        log.error("again", exc_info=error)
    text = capsys.readouterr().err
    assert "Ada" not in text
    for row in text.splitlines():
        exception = json.loads(row)["exception"]
        assert exception["type"] == "KeyError"
        assert "test_logs.py" in exception["at"][-1]
        assert exception["cause"]["type"] == "ValueError"
    log.error("no exception", exc_info=True)
    assert "exception" not in lines(capsys)[0]
    configure_logging(log_personal_data=True)
    log.error("again", exc_info=ValueError(SECRET))
    assert SECRET in str(lines(capsys)[0]["exception"])


def test_other_libraries_show_templates_of_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug")
    library = logging.getLogger("httpx")
    library.info("HTTP Request: %s", SECRET)
    library.warning("refused %s", SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        library.exception("failed for %s", SECRET)
        loguru_logger.exception(f"failed for {SECRET}")
    loguru_logger.info(f"heard {SECRET}")
    loguru_logger.success(f"heard {SECRET}")
    loguru_logger.error(f"heard {SECRET}")
    text = capsys.readouterr().err
    assert "Ada" not in text
    rows = [json.loads(row) for row in text.splitlines()]
    assert [row["event"] for row in rows] == [
        "refused %s",
        "failed for %s",
        "message of a library",
        "message of a library",
    ]
    assert rows[0]["logger"] == "httpx"
    assert str(rows[0]["place"]).startswith("test_logs:")
    assert rows[1]["exception"]["type"] == rows[2]["exception"]["type"] == "ValueError"
    assert [row["level"] for row in rows] == ["warning", "error", "error", "error"]


def test_uvicorn_and_basic_config_do_not_print_past_it(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    plain = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(plain)
    own = logging.StreamHandler(sys.stderr)
    logging.getLogger("uvicorn.access").addHandler(own)
    configure_logging()
    configure_logging()  # twice: still one line each
    logging.getLogger("uvicorn.access").warning("GET %s", SECRET)
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n")
    assert [line["event"] for line in lines(capsys)] == [
        "GET %s",
        "Exception in ASGI application\n",
    ]


def test_console_format(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    log.warning("turn", caller_text=SECRET, state="balance")
    text = capsys.readouterr().err
    assert "turn" in text
    assert "state=balance" in text.replace("'", "")
    assert "Ada" not in text


def test_a_closed_stderr_ends_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    configure_logging()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    log.info("nobody reads")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call from +1 (202) 555-0199 failed", "call from *** failed"),
        ("card 4111 1111 1111 1111", "card ***"),
        ("no such account: 12345678.", "no such account: ***."),
        ("CA0123456789abcdef0123456789abcdef", "CA0123456789abcdef0123456789abcdef"),
        ("port 65536 in 1500 ms", "port 65536 in 1500 ms"),
        ("0.123456789", "0.123456789"),
    ],
)
def test_numbers_in_other_texts(text: str, masked: str) -> None:
    assert mask_numbers(text) == masked


@given(
    st.dictionaries(
        st.sampled_from(["text", "state", "slots", "n"]),
        st.recursive(
            st.none() | st.text() | st.integers() | st.floats() | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_redaction_takes_anything_and_leaves_json(values: dict[str, object]) -> None:
    json.dumps(redact(values))


def test_a_failure_on_the_console_is_a_type_and_places(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("call failed")
    text = capsys.readouterr().err
    assert "call failed" in text
    assert "ValueError" in text
    assert SECRET not in text
