"""What a dialplan's `services:` say, checked when the server starts: a mistake is the author's, in
one line. See `services`."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import httpx

from voicebot.errors import PlanError

RETRIES, BACKOFF_S = 1, 0.2
"""Of webhooks, where the plan says nothing; the pause doubles with each attempt."""
_TARGET = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")
_KEYS = {"python", "webhook", "headers", "timeout_s", "retries", "backoff_s"}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VARIABLE = re.compile(r"\benv:([A-Za-z_][A-Za-z0-9_]*)")

Function = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Service:
    """One call-out: a `function`, or else the webhook at `url`."""

    name: str
    timeout_s: float
    function: Function | None = None
    wants_call_sid: bool = False
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # secrets, never shown
    retries: int = RETRIES
    backoff_s: float = BACKOFF_S


def read_service(
    name: str,
    definition: Mapping[str, object],
    folder: Path,
    default_timeout_s: float,
    modules: dict[str, ModuleType],
) -> Service:
    """A definition as a Service; PlanError. `modules` are those loaded already."""
    unknown = set(definition) - _KEYS
    if unknown:
        raise PlanError(f"services.{name}: unknown key {min(unknown)!r}; known: {_known()}")
    python, webhook = definition.get("python"), definition.get("webhook")
    if (python is None) == (webhook is None):
        raise PlanError(f"services.{name}: give either python: module:function or webhook: URL")
    timeout = definition.get("timeout_s")
    timeout_s = default_timeout_s if timeout is None else timeout
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or timeout_s <= 0:
        raise PlanError(f"services.{name}.timeout_s: {timeout_s!r} must be a number above 0")
    if python is not None:
        function = _function(name, str(python), folder, modules)
        return Service(name, float(timeout_s), function, _takes_call_sid(function))
    retries = _number(name, "retries", definition.get("retries"), RETRIES)
    backoff_s = _number(name, "backoff_s", definition.get("backoff_s"), BACKOFF_S)
    return Service(
        name,
        float(timeout_s),
        url=_url(name, str(webhook)),
        headers=_headers(name, definition.get("headers")),
        retries=int(retries),
        backoff_s=backoff_s,
    )


def _headers(name: str, given: object) -> dict[str, str]:
    """With the values of environment variables in place of env:NAME, less the space around them;
    they are not repeated in messages."""
    found: dict[str, str] = {}
    for header, text in (given if isinstance(given, Mapping) else {}).items():
        where = f"services.{name}.headers.{header}"
        if not _HEADER_NAME.fullmatch(str(header)):
            raise PlanError(f"services.{name}.headers: {str(header)!r} is no name of a header")
        values: dict[str, str] = {}
        for variable in _VARIABLE.findall(str(text)):
            value = values[variable] = os.environ.get(variable, "").strip()
            if not value:
                raise PlanError(f"{where}: the environment variable {variable} is not set")
            if not _is_sendable(value):
                raise PlanError(
                    f"{where}: the environment variable {variable} holds what a header cannot: it "
                    "must be plain text on one line"
                )
        whole = str(text).strip()
        if not _is_sendable(whole):
            raise PlanError(f"{where}: must be plain text on one line")
        found[str(header)] = _VARIABLE.sub(partial(_value_of, values), whole)
    return found


def _is_sendable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _value_of(values: Mapping[str, str], variable: re.Match[str]) -> str:
    return values[variable[1]]


def _number(name: str, key: str, value: object, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise PlanError(f"services.{name}.{key}: {value!r} must be a number, 0 or more")
    return value


def _known() -> str:
    return ", ".join(sorted(_KEYS))


def _url(name: str, text: str) -> str:
    try:
        httpx.URL(text)
        parts = urlsplit(text)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except (ValueError, httpx.InvalidURL):
        is_usable = False
    if not is_usable:
        raise PlanError(f"services.{name}.webhook: {text!r} must be an http:// or https:// URL")
    return text


def _function(name: str, target: str, folder: Path, modules: dict[str, ModuleType]) -> Function:
    match = _TARGET.fullmatch(target)
    if match is None:
        raise PlanError(f"services.{name}.python: {target!r} must be module:function")
    module_name, function_name = match.groups()
    path = folder.joinpath(*module_name.split(".")).with_suffix(".py")
    if module_name not in modules:
        modules[module_name] = _load(name, path)
    function = getattr(modules[module_name], function_name, None)
    if not callable(function):
        raise PlanError(f"services.{name}.python: {path} has no function {function_name!r}")
    checked: Function = function
    return checked


def _load(name: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise PlanError(f"services.{name}.python: {path} does not exist; put it beside the plan")
    # A name of its own: two plans may each have a backend.py.
    unique = f"_voicebot_services_{uuid.uuid5(uuid.NAMESPACE_URL, str(path.resolve())).hex}"
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # dataclasses of the module look themselves up there
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # it may import what stands beside it, as a script does
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # scripts end themselves: sys.exit, argparse
        del sys.modules[unique]
        raise PlanError(f"services.{name}.python: {path} fails: {one_line(error)}") from error
    return module


def _takes_call_sid(function: Function) -> bool:
    try:
        return "call_sid" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def one_line(error: BaseException) -> str:
    """An error's name and the beginning of what it says."""
    try:
        text = str(error).partition("\n")[0][:200]
    except Exception:  # an author's error may fail to say what it is
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
