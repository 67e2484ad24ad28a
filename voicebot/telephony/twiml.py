"""The TwiML documents voicebot answers with, checked against Twilio's limits.

Twilio refuses a bad document in the middle of a call; a `UserMistake` here says so first.
Verbs: https://www.twilio.com/docs/voice/twiml
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from voicebot.errors import UserMistake

MAX_BYTES = 64 * 1024
MAX_PARAMETER_CHARS = 500
"""Name and value of a <Parameter> together stay below this."""
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

# What XML 1.0 cannot hold, not even escaped; a From header may carry anything.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_E164 = re.compile(r"\+?[0-9]{1,15}")


def answer(
    stream_url: str,
    action_url: str | None,
    parameters: Mapping[str, str] | None = None,
    fallback: str = "",
) -> str:
    """Open a bidirectional media stream to `stream_url`.

    When our server closes the socket Twilio asks `action_url` what comes next. If that
    fails, or the stream is never opened, the caller hears `fallback`.
    Raises UserMistake where Twilio would refuse the document.
    """
    check_stream_url(stream_url)
    response = Element("Response")
    connect = SubElement(response, "Connect", _attributes(action=action_url))
    stream = SubElement(connect, "Stream", _attributes(url=stream_url))
    for name, value in (parameters or {}).items():
        if len(name) + len(value) >= MAX_PARAMETER_CHARS:
            raise UserMistake(
                f"stream parameter {name[:40]!r}: name and value have {len(name) + len(value)} "
                f"characters, Twilio takes fewer than {MAX_PARAMETER_CHARS}; shorten the value"
            )
        SubElement(stream, "Parameter", _attributes(name=name, value=value))
    if fallback:
        _say(response, fallback)
    return _document(response)


def reject(reason: Literal["busy", "rejected"] = "busy") -> str:
    """Refuse the call before it is answered: the caller hears the tone, nobody is billed."""
    response = Element("Response")
    SubElement(response, "Reject", _attributes(reason=reason))
    return _document(response)


def transfer(
    destination: str,
    *,
    caller_id: str | None = None,
    action_url: str | None = None,
    timeout_s: int = 30,
    fallback: str = "",
    whisper_url: str | None = None,
) -> str:
    """Dial `destination` (E.164 number or `sip:` URI); `fallback` is spoken if nobody answers.

    Who answers hears what `whisper_url` says before the caller is put through.
    Raises UserMistake for a destination that Twilio cannot dial.
    """
    response = Element("Response")
    dial = SubElement(
        response,
        "Dial",
        _attributes(callerId=caller_id, action=action_url, timeout=str(timeout_s)),
    )
    if destination.startswith(("sip:", "sips:")):
        SubElement(dial, "Sip", _attributes(url=whisper_url)).text = _clean(destination)
    elif _E164.fullmatch(number := re.sub(r"[\s().-]", "", destination)):
        SubElement(dial, "Number", _attributes(url=whisper_url)).text = number
    else:
        raise UserMistake(
            f"transfer destination {destination[:60]!r} is neither a number like +15550100 "
            "nor a sip: URI; correct it in the dialplan"
        )
    if fallback:
        _say(response, fallback)
    return _document(response)


def enqueue(queue: str, wait_url: str) -> str:
    """Let the caller wait in Twilio's queue of that name, and hear what `wait_url` says."""
    response = Element("Response")
    SubElement(response, "Enqueue", _attributes(waitUrl=wait_url)).text = _clean(queue)
    return _document(response)


def hold(text: str, music_url: str = "") -> str:
    """What a caller in a queue hears, over and over: `text`, then music or a pause."""
    response = Element("Response")
    if text:
        _say(response, text)
    if music_url:
        SubElement(response, "Play").text = _clean(music_url)
    else:
        SubElement(response, "Pause", {"length": "20"})
    return _document(response)


def say(text: str) -> str:
    """Speak `text`, and go on with the call."""
    response = Element("Response")
    _say(response, text)
    return _document(response)


def hang_up() -> str:
    """End the call."""
    response = Element("Response")
    SubElement(response, "Hangup")
    return _document(response)


def say_and_hang_up(text: str) -> str:
    """Speak `text` in Twilio's own voice and end the call."""
    response = Element("Response")
    _say(response, text)
    SubElement(response, "Hangup")
    return _document(response)


def is_loopback(url: str) -> bool:
    """Whether `url` stays on this machine, where plain `ws://` is safe."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host in LOOPBACK_HOSTS


def check_stream_url(url: str) -> None:
    """Raises UserMistake for a URL that Twilio opens no media stream to."""
    problem = None
    try:
        parts = urlsplit(url)
        scheme, host, query = parts.scheme, parts.hostname, parts.query or parts.fragment
    except ValueError:
        scheme, host, query = "", None, ""
    if not host or scheme not in {"wss", "ws"}:
        problem = "is not a wss:// URL"
    elif query:
        problem = "has a query string, which Twilio refuses (31920); pass stream parameters"
    elif scheme == "ws" and host not in LOOPBACK_HOSTS:
        problem = "is not encrypted: Twilio takes wss:// only; set an https public URL"
    if problem is not None:
        raise UserMistake(f"stream URL {url[:200]!r} {problem}")


def _say(response: Element, text: str) -> None:
    SubElement(response, "Say").text = _clean(text)


def _attributes(**values: str | None) -> dict[str, str]:
    return {name: _clean(value) for name, value in values.items() if value is not None}


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)


def _document(response: Element) -> str:
    body = tostring(response, encoding="unicode")
    document = f'<?xml version="1.0" encoding="UTF-8"?>{body}'
    size = len(document.encode())
    if size > MAX_BYTES:
        raise UserMistake(
            f"TwiML of {size} bytes: Twilio takes {MAX_BYTES}; shorten texts or parameters"
        )
    return document
