"""X-Twilio-Signature: base64(HMAC-SHA1(auth token, URL + sorted POST parameters)).

For the WebSocket handshake the URL is the `wss://` one and there are no parameters. The URL
must be the configured public one: what a proxy reports can be forged.
Formula: https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha1
from urllib.parse import SplitResult, urlsplit

HEADER = "X-Twilio-Signature"
_DEFAULT_PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}

Parameters = Mapping[str, str | Sequence[str]]


def sign(auth_token: str, url: str, parameters: Parameters | None = None) -> str:
    """The signature that Twilio sends with a request of `url` posting `parameters`.

    A name with several values contributes each different value once, sorted.
    """
    text = url
    for name, values in sorted((parameters or {}).items()):
        for value in [values] if isinstance(values, str) else sorted(set(values)):
            text += name + value
    key, message = (s.encode("utf-8", "surrogatepass") for s in (auth_token, text))
    return b64encode(hmac.new(key, message, sha1).digest()).decode()


def is_valid(
    auth_token: str, url: str, parameters: Parameters | None, signature: str | None
) -> bool:
    """Whether `signature` is Twilio's, compared in constant time. Never raises.

    Twilio signs some URLs with the standard port and some without: both are accepted.
    """
    given = (signature or "").encode("utf-8", "surrogatepass")
    results = [
        hmac.compare_digest(sign(auth_token, spelling, parameters).encode(), given)
        for spelling in _spellings(url)
    ]
    return any(results)


def _spellings(url: str) -> Iterator[str]:
    yield url
    try:
        parts = urlsplit(url)
        port, default = parts.port, _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return
    if port is not None:
        yield _with_netloc(parts, parts.netloc.rpartition(":")[0])
    elif default is not None:
        yield _with_netloc(parts, f"{parts.netloc}:{default}")


def _with_netloc(parts: SplitResult, netloc: str) -> str:
    return parts._replace(netloc=netloc).geturl()
