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
import json
import re
import uuid
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import ModuleType

import httpx

from voicebot.errors import ServiceFailed
from voicebot.server.service_definitions import Function, Service, one_line, read_service
from voicebot.server.side_threads import Overloaded, SideThreads

MAX_REPLY_BYTES = 64 * 1024
MAX_WEBHOOK_S = 60.0
"""Between two bytes of a reply; each service's own timeout_s is shorter and for the whole."""
MAX_THREADS = 32
"""Functions at once; those that never return stay counted."""
BUSY = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may succeed."""
PACKED = frozenset({"gzip", "x-gzip", "deflate"})
"""How servers compress that were asked not to."""


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
            name: Service(name, timeout_s, (stand_ins or {})[name])
            if name in (stand_ins or {})
            else read_service(name, definition, plan_folder, timeout_s, modules)
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
        except Exception as error:  # an author's objects may fail at anything
            raise ServiceFailed(
                f"service {name}: replied with what is no JSON ({one_line(error)})"
            ) from error

    async def _call_function(
        self, service: Service, arguments: Mapping[str, str], call_sid: str
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
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ServiceFailed(f"service {service.name}: cancelled itself") from None
        except BaseException as error:  # an author's code may raise anything, SystemExit too
            raise ServiceFailed(f"service {service.name}: {one_line(error)}") from error

    async def _post(
        self, service: Service, arguments: Mapping[str, str], call_sid: str, call_id: str
    ) -> object:
        self._http = self._http or httpx.AsyncClient(timeout=MAX_WEBHOOK_S, follow_redirects=False)
        body = {"service": service.name, "call_sid": call_sid, "arguments": dict(arguments)}
        # The same key with each attempt: the backend may have seen the one before.
        key = uuid.uuid5(uuid.NAMESPACE_URL, f"{call_sid}/{call_id}") if call_id else uuid.uuid4()
        headers = {**service.headers, "idempotency-key": str(key), "accept-encoding": "identity"}
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
        self, service: Service, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> object:
        assert self._http is not None
        raw = bytearray()
        async with self._http.stream("POST", service.url, json=body, headers=headers) as response:
            if not response.is_success:
                message = f"service {service.name}: answered with status {response.status_code}"
                if response.status_code in BUSY:
                    raise _Busy(message, _retry_after_s(response.headers.get("retry-after", "")))
                raise ServiceFailed(message)
            is_packed = response.headers.get("content-encoding", "").lower() in PACKED
            async for part in response.aiter_raw() if is_packed else response.aiter_bytes():
                raw += part
                if len(raw) >= MAX_REPLY_BYTES:
                    raise _too_long(service)
        if response.status_code == httpx.codes.NO_CONTENT:
            return {}
        try:
            content = _unpacked(bytes(raw)) if is_packed else bytes(raw)
        except zlib.error:
            raise ServiceFailed(f"service {service.name}: replied with broken gzip") from None
        if len(content) >= MAX_REPLY_BYTES:
            raise _too_long(service)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise ServiceFailed(f"service {service.name}: replied with no JSON") from None


def _too_long(service: Service) -> ServiceFailed:
    return ServiceFailed(f"service {service.name}: replied with {MAX_REPLY_BYTES} bytes or more")


def _unpacked(raw: bytes) -> bytes:
    """As much of a compressed reply as is read of any: 60 KB may hold 60 MB. zlib.error."""
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, MAX_REPLY_BYTES)


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


def _failed(service: Service, error: Exception) -> ServiceFailed:
    """What is recorded: only errors of connecting tell more than their name, since the text of
    the others may quote a header, and headers hold secrets."""
    if isinstance(error, ServiceFailed):
        return error
    told = one_line(error) if isinstance(error, httpx.ConnectError) else type(error).__name__
    return ServiceFailed(f"service {service.name}: {told}")


def _storable(value: object) -> object:
    """The value as JSON with valid Unicode (half a surrogate pair goes into no journal); what JSON
    does not know, as text. Raises what an author's objects raise."""
    if isinstance(value, Mapping):
        return {_text(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    text = _text(str(value))  # ValueError: a number of more digits than Python writes
    return value if value is None or isinstance(value, bool | int | float) else text


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
