"""Twilio's webhook parameters: read with limits, parsed, validated."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 200
MAX_PARAMETER_CHARS = 256
"""Twilio allows 500 characters for a <Parameter>'s name and value together."""
BODY_TIMEOUT_S = 10.0

CALL_SID = re.compile(r"CA[0-9a-zA-Z]{1,64}")
"""Twilio's are CA and 32 hex digits; test systems use others."""


@dataclass(frozen=True, slots=True)
class BadRequest:
    """A request that is refused with an HTTP status and one line."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class TwilioRequest:
    """`parameters`: of the query for GET, of the form for POST; `posted` only the latter."""

    call_sid: str
    parameters: Mapping[str, str]

    @property
    def caller(self) -> str:
        """The caller's number; empty when withheld."""
        return self.parameters.get("From", "")

    @property
    def called(self) -> str:
        """The number that was dialled."""
        return self.parameters.get("To", "")


async def read_parameters(request: Request) -> dict[str, str] | BadRequest:
    """The request's parameters, decoded; nothing is trusted yet."""
    if request.method == "GET":
        return _parse(request.scope["query_string"])
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        return BadRequest(415, "content type must be application/x-www-form-urlencoded")
    body = await _body(request)
    return body if isinstance(body, BadRequest) else _parse(body)


def validated(parameters: Mapping[str, str]) -> TwilioRequest | BadRequest:
    """The parameters as Twilio sends them, or what is wrong with them."""
    call_sid = parameters.get("CallSid", "")
    if not CALL_SID.fullmatch(call_sid):
        return BadRequest(400, "CallSid is missing or malformed")
    for name in ("From", "To"):
        if len(parameters.get(name, "")) > MAX_PARAMETER_CHARS:
            return BadRequest(400, f"{name} is longer than {MAX_PARAMETER_CHARS} characters")
    return TwilioRequest(call_sid, parameters)


async def _body(request: Request) -> bytes | BadRequest:
    too_large = BadRequest(413, f"more than {MAX_BODY_BYTES} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        return too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    return too_large
    except TimeoutError:
        return BadRequest(408, "the request did not arrive in time")
    except ClientDisconnect:
        return BadRequest(400, "the request broke off")
    return bytes(body)


def _parse(encoded: bytes) -> dict[str, str] | BadRequest:
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:  # not ASCII, not UTF-8 inside, or too many fields
        return BadRequest(400, "the parameters cannot be read")
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        return BadRequest(400, "a parameter occurs twice")
    return parameters
