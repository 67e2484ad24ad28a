"""Logs: structlog, one JSON object a line on stderr, the call's id on every line.

Lines of the standard library's `logging` (uvicorn, websockets, httpx) and of loguru (pipecat)
come the same way. Their texts may quote a caller; so of others' lines only warnings and
worse pass, and of these only level, place and unformatted template.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Literal

import structlog
from loguru import logger as loguru_logger

from voicebot.monitoring.redaction import describe_exception, redact

if TYPE_CHECKING:
    from loguru import Message

_EventDict = MutableMapping[str, Any]
_KEPT = frozenset({"timestamp", "level", "logger", "call_sid", "stream_sid", "exception"})
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logging(
    level: Literal["debug", "info", "warning", "error"] = "info",
    log_format: Literal["json", "console"] = "json",
    *,
    log_personal_data: bool = False,
) -> None:
    """Set up this process's logging; a later call replaces an earlier one."""
    renderer: Any = structlog.processors.JSONRenderer(default=repr)
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_logger,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Exceptions(log_personal_data),
            *([] if log_personal_data else [_redact]),
            *([_exception_as_text] if log_format == "console" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=_StderrLogger,
        cache_logger_on_first_use=False,  # module-level loggers follow a later configuration
    )
    _route_stdlib(_LEVELS[level], log_personal_data)
    _route_loguru(log_personal_data)


def bind_call(call_sid: str) -> contextlib.AbstractContextManager[None]:
    """Within this block, and in tasks started in it, every line carries `call_sid`."""
    return structlog.contextvars.bound_contextvars(call_sid=call_sid)


class _StderrLogger:
    """Writes lines to what `sys.stderr` is at that moment; a log that fails never raises."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = log = msg


def _add_logger(logger: Any, method: str, event: _EventDict) -> _EventDict:
    if "logger" not in event and logger is not None and logger.name:
        event["logger"] = logger.name
    return event


def _redact(logger: Any, method: str, event: _EventDict) -> _EventDict:
    return redact(event, kept=_KEPT)


class _Exceptions:
    """`exc_info` to `exception`: type and places; with personal data the whole traceback."""

    def __init__(self, with_messages: bool) -> None:
        self._with_messages = with_messages

    def __call__(self, logger: Any, method: str, event: _EventDict) -> _EventDict:
        given = event.pop("exc_info", None)
        error = given if isinstance(given, BaseException) else None
        if isinstance(given, tuple):
            error = given[1]
        elif given and error is None:
            error = sys.exc_info()[1]
        if error is not None:
            event["exception"] = (
                "".join(traceback.format_exception(error))
                if self._with_messages
                else describe_exception(error)
            )
        return event


def _exception_as_text(logger: Any, method: str, event: _EventDict) -> _EventDict:
    """The console's renderer joins it to a line; a mapping would make it raise."""
    error = event.get("exception")
    if isinstance(error, Mapping):
        event["exception"] = "\n".join(f"{name}: {value}" for name, value in error.items())
    return event


# ---------------------------------------------------------------- other libraries' lines


class _StdlibHandler(logging.Handler):
    def __init__(self, log_personal_data: bool) -> None:
        super().__init__()
        self._with_messages = log_personal_data

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage() if self._with_messages else str(record.msg)
            place = f"{record.module}:{record.lineno}"
            error = record.exc_info[1] if record.exc_info else None
            _pass_on(record.levelno, text, record.name, place, error)
        except Exception:
            self.handleError(record)


def _pass_on(level: int, text: str, name: str, place: str, error: BaseException | None) -> None:
    """Levels between ours (loguru has SUCCESS, 25) count as the one below."""
    nearest = max((known for known in _LEVELS.values() if known <= level), default=logging.DEBUG)
    extra = {} if error is None else {"exc_info": error}
    structlog.get_logger(name).log(nearest, text, place=place, **extra)


def _route_stdlib(level: int, log_personal_data: bool) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        # A plain StreamHandler is what basicConfig leaves; it would print past the redaction.
        if isinstance(handler, _StdlibHandler) or type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    root.addHandler(_StdlibHandler(log_personal_data))
    root.setLevel(level if log_personal_data else max(level, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def _route_loguru(log_personal_data: bool) -> None:
    def sink(message: Message) -> None:
        record = message.record
        # Pipecat formats its texts before loguru sees them: there is no template to show.
        text = record["message"] if log_personal_data else "message of a library"
        caught = record["exception"]
        error = caught.value if caught is not None else None
        place = f"{record['module']}:{record['line']}"
        _pass_on(record["level"].no, text, record["name"] or "", place, error)

    loguru_logger.remove()
    loguru_logger.add(sink, level="WARNING", format="{message}", backtrace=False, diagnose=False)
