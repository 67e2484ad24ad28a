"""Who may ask: Twilio's signature on its requests, a bearer token on the operators'."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from ipaddress import ip_address

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from voicebot.config import Settings
from voicebot.server.ports import Metrics
from voicebot.telephony import signature, twiml

_HOST = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Gate:
    """Checks requests against the settings. URLs come from `public_url`, never from a proxy."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._public_url = (settings.server.public_url or "").rstrip("/")
        self._auth_token = _secret(settings.twilio.auth_token)
        self._api_token = _secret(settings.server.api_token)
        self._is_development = settings.environment == "development"
        self._metrics = metrics

    def base_url(self, connection: HTTPConnection) -> str | None:
        """`https://host` as Twilio calls us; without public_url what the Host header says.

        None when there is neither.
        """
        if self._public_url:
            return self._public_url
        host = connection.headers.get("host", "")
        if not _HOST.fullmatch(host):
            return None
        is_secure = connection.scope["scheme"] in {"https", "wss"}
        return f"{'https' if is_secure else 'http'}://{host}"

    def stream_url(self, base_url: str) -> str:
        """The media stream's URL under `base_url`."""
        return "ws" + base_url.removeprefix("http") + "/twilio/media"

    def admits_webhook(
        self, connection: HTTPConnection, parameters: Mapping[str, str] | None
    ) -> bool:
        """Whether Twilio sent this; `parameters` are the posted ones. True without auth token."""
        return self._is_signed(connection, "webhook", parameters)

    def admits_stream(self, websocket: WebSocket) -> bool:
        """Whether Twilio opened this WebSocket. True without auth token."""
        return self._is_signed(websocket, "stream", None)

    def _is_signed(
        self, connection: HTTPConnection, where: str, parameters: Mapping[str, str] | None
    ) -> bool:
        if self._auth_token is None:
            return True
        given = connection.headers.get(signature.HEADER)
        base = self.base_url(connection)
        if given and base is not None:
            path = connection.scope["raw_path"].decode("latin-1").partition("?")[0]
            query = connection.scope["query_string"].decode("latin-1")
            url = base + path + (f"?{query}" if query else "")
            if where == "stream":
                url = "ws" + url.removeprefix("http")
            if signature.is_valid(self._auth_token, url, parameters, given):
                return True
        self._metrics.refused(where, "bad signature" if given else "no signature")
        return False

    def knows_operator(self, connection: HTTPConnection) -> bool:
        """Whether the bearer token is right; True when none is configured."""
        if self._api_token is None:
            return True
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        expected = self._api_token.encode()
        is_right = hmac.compare_digest(given.strip().encode("utf-8", "surrogatepass"), expected)
        return scheme.lower() == "bearer" and is_right

    def may_read_metrics(self, connection: HTTPConnection) -> bool:
        """With the token; without one from this machine, in development from anywhere.

        The port is the one that Twilio reaches: in production everybody does.
        """
        if self._api_token is not None:
            return self.knows_operator(connection)
        return self._is_development or _is_from_here(connection)

    def may_read_calls(self, connection: HTTPConnection) -> bool:
        """Calls are personal data: with the token, or in development from this very machine.

        A tunnel or proxy on this machine connects from loopback too; it shows in the Host
        header or in forwarding headers.
        """
        if self._api_token is not None:
            return self.knows_operator(connection)
        return self._is_development and _is_from_here(connection)

    @property
    def wants_token(self) -> bool:
        """An operator could get in with a bearer token."""
        return self._api_token is not None


def _is_loopback_peer(connection: HTTPConnection) -> bool:
    if connection.client is None:
        return False
    try:
        return ip_address(connection.client.host).is_loopback
    except ValueError:
        return False


def _secret(value: object) -> str | None:
    reveal = getattr(value, "get_secret_value", None)
    return str(reveal()) if reveal is not None else None


def _is_from_here(connection: HTTPConnection) -> bool:
    """From this very machine, and not through a tunnel or proxy on it."""
    headers = connection.headers
    return (
        _is_loopback_peer(connection)
        and twiml.is_loopback(f"http://{headers.get('host', '')}")
        and not any(name in headers for name in _FORWARDED)
    )
