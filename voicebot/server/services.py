"""A dialplan's call-outs: a Python function beside the plan, or an HTTP webhook.

    services:
      balance: {python: "backend:balance"}
      book:
        webhook: "https://crm.example/voicebot"
        headers: {Authorization: "Bearer env:CRM_TOKEN"}
        timeout_s: 3

A function takes the arguments by name (and `call_sid`, if it has such a parameter) and
returns a mapping; it may be `async`. It runs beside the event loop, so a slow one keeps no
call waiting but its own. Definitions are checked, and modules loaded, when the server
starts: a mistake in them is the author's, in one line.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import re
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import httpx

from voicebot.errors import PlanError, ServiceFailed
from voicebot.server.side_threads import Overloaded, SideThreads

MAX_REPLY_BYTES = 64 * 1024
MAX_WEBHOOK_S = 60.0
"""Between two bytes of a reply; each service's own timeout_s is shorter and for the whole."""
MAX_THREADS = 32
"""Functions at once; those that never return stay counted."""
_TARGET = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")
_KEYS = {"python", "webhook", "headers", "timeout_s", "retries", "backoff_s"}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VARIABLE = re.compile(r"\benv:([A-Za-z_][A-Za-z0-9_]*)")
RETRIES, BACKOFF_S = 1, 0.2
"""Of webhooks, where the plan says nothing; the pause doubles with each attempt."""
BUSY = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may succeed."""

Function = Callable[..., object]


@dataclass(frozen=True, slots=True)
class _Service:
    name: str
    timeout_s: float
    function: Function | None = None
    wants_call_sid: bool = False
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # secrets, never shown
    retries: int = RETRIES
    backoff_s: float = BACKOFF_S


class _Busy(ServiceFailed):
    """A webhook says that it may succeed later, `after_s` seconds from now where it says when."""

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class Services:
    """The call-outs of one dialplan. `aclose()` when done."""

    def __init__(
        self,
        definitions: Mapping[str, Mapping[str, object]],
        plan_folder: Path,
        timeout_s: float = 5.0,
        *,
        http: httpx.AsyncClient | None = None,
        stand_ins: Mapping[str, Function] | None = None,
    ) -> None:
        """Raises PlanError for a definition, module or function that cannot be used.

        `stand_ins` answer in the place of services of the same name: scenarios have some.
        """
        modules: dict[str, ModuleType] = {}
        self._services = {
            name: _Service(name, timeout_s, (stand_ins or {})[name])
            if name in (stand_ins or {})
            else _service(name, definition, plan_folder, timeout_s, modules)
            for name, definition in definitions.items()
        }
        self._http = http
        self._threads = SideThreads(MAX_THREADS)

    async def aclose(self) -> None:
        """Close connections; functions that still run are left to end by themselves."""
        self._threads.close()
        if self._http is not None:
            await self._http.aclose()

    async def call(
        self, name: str, arguments: Mapping[str, str], *, call_sid: str = "", call_id: str = ""
    ) -> Mapping[str, object]:
        """The service's reply. Raises ServiceFailed, in one line, whatever goes wrong.

        `call_id` names the call-out within its call: asked again, also by another process that
        goes on with the call, it carries the same idempotency key.
        """
        service = self._services.get(name)
        if service is None:
            raise ServiceFailed(f"service {name}: the dialplan defines no such service")
        try:
            async with asyncio.timeout(service.timeout_s):
                if service.function is not None:
                    reply = await self._call_function(service, arguments, call_sid)
                else:
                    reply = await self._post(service, arguments, call_sid, call_id)
        except TimeoutError:
            raise ServiceFailed(f"service {name}: no reply in {service.timeout_s:g} s") from None
        if not isinstance(reply, Mapping) or not all(isinstance(key, str) for key in reply):
            raise ServiceFailed(
                f"service {name}: replied with {type(reply).__name__}, not a mapping of names"
            )
        try:
            return {_text(key): _storable(value) for key, value in reply.items()}
        except RecursionError:
            raise ServiceFailed(f"service {name}: replied with endless nesting") from None

    async def _call_function(
        self, service: _Service, arguments: Mapping[str, str], call_sid: str
    ) -> object:
        assert service.function is not None
        keywords = dict(arguments)
        if service.wants_call_sid:
            keywords["call_sid"] = call_sid
        try:
            return await self._threads.run(service.function, keywords)
        except Overloaded as overloaded:
            raise ServiceFailed(f"service {service.name}: {overloaded}") from None
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # an author's code may raise anything, SystemExit too
            raise ServiceFailed(f"service {service.name}: {_one_line(error)}") from error

    async def _post(
        self, service: _Service, arguments: Mapping[str, str], call_sid: str, call_id: str
    ) -> object:
        self._http = self._http or httpx.AsyncClient(timeout=MAX_WEBHOOK_S, follow_redirects=False)
        body = {"service": service.name, "call_sid": call_sid, "arguments": dict(arguments)}
        # The same key with each attempt: the backend may have seen the one before.
        key = uuid.uuid5(uuid.NAMESPACE_URL, f"{call_sid}/{call_id}") if call_id else uuid.uuid4()
        headers = {**service.headers, "idempotency-key": str(key)}
        clock = asyncio.get_running_loop().time
        ends = clock() + service.timeout_s
        for attempt in range(service.retries + 1):
            try:
                return await self._exchange(service, body, headers)
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, _Busy) as error:
                asked_for = error.after_s if isinstance(error, _Busy) else 0.0
                pause = max(service.backoff_s * 2**attempt, asked_for)
                # No time for another attempt: what went wrong says more than a timeout.
                if attempt == service.retries or clock() + pause >= ends:
                    raise _failed(service, error) from None  # the cause may quote a header
            except (httpx.HTTPError, UnicodeError) as error:
                raise _failed(service, error) from None
            await asyncio.sleep(pause)
        raise ServiceFailed(f"service {service.name}: was not asked")

    async def _exchange(
        self, service: _Service, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> object:
        assert self._http is not None
        content = bytearray()
        async with self._http.stream("POST", service.url, json=body, headers=headers) as response:
            if not response.is_success:
                message = f"service {service.name}: answered with status {response.status_code}"
                if response.status_code in BUSY:
                    raise _Busy(message, _retry_after_s(response.headers.get("retry-after", "")))
                raise ServiceFailed(message)
            async for part in response.aiter_bytes():
                content += part
                if len(content) >= MAX_REPLY_BYTES:
                    raise ServiceFailed(
                        f"service {service.name}: replied with {MAX_REPLY_BYTES} bytes or more"
                    )
        try:
            return json.loads(bytes(content))
        except (ValueError, RecursionError):
            raise ServiceFailed(f"service {service.name}: replied with no JSON") from None


def _retry_after_s(text: str) -> float:
    """What RFC 9110's Retry-After asks for, in seconds from now; 0 where it says nothing."""
    if re.fullmatch(r"[0-9]{1,6}", text.strip()):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _failed(service: _Service, error: Exception) -> ServiceFailed:
    """What is recorded: only errors of connecting tell more than their name, since the text of
    the others may quote a header, and headers hold secrets."""
    if isinstance(error, ServiceFailed):
        return error
    told = _one_line(error) if isinstance(error, httpx.ConnectError) else type(error).__name__
    return ServiceFailed(f"service {service.name}: {told}")


def _service(
    name: str,
    definition: Mapping[str, object],
    folder: Path,
    default_timeout_s: float,
    modules: dict[str, ModuleType],
) -> _Service:
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
        return _Service(name, float(timeout_s), function, _takes_call_sid(function))
    retries = _number(name, "retries", definition.get("retries"), RETRIES)
    backoff_s = _number(name, "backoff_s", definition.get("backoff_s"), BACKOFF_S)
    return _Service(
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
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[unique]
        raise PlanError(f"services.{name}.python: {path} fails: {_one_line(error)}") from error
    return module


def _takes_call_sid(function: Function) -> bool:
    try:
        return "call_sid" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _storable(value: object) -> object:
    """The value with valid Unicode: half a surrogate pair goes into no journal."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _one_line(error: BaseException) -> str:
    text: Any = str(error).partition("\n")[0][:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
