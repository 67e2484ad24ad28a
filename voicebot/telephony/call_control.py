"""Acts on a running call over Twilio's REST interface. Blocking: call it from a thread.

The `twilio` package ships no types, hence the ignored imports.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from voicebot.errors import ServiceFailed

if TYPE_CHECKING:
    from twilio.http import HttpClient  # type: ignore[import-untyped]

TIMEOUT_S = 10.0
CALL_NOT_IN_PROGRESS = 21220
"""Twilio's error code when the call has already ended: https://www.twilio.com/docs/api/errors"""
_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")


class CallControl:
    """Hangs up or redirects calls of one account.

    `http_client` is the `twilio` package's; its default has a timeout of TIMEOUT_S. Every
    failure is a ServiceFailed in one line, `retryable` unless Twilio refused the request
    itself (wrong credentials, unknown call).
    """

    def __init__(
        self, account_sid: str, auth_token: str, http_client: HttpClient | None = None
    ) -> None:
        # Imported late: the package takes a second to load, and a server without an
        # account never needs it.
        from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]
        from twilio.rest import Client  # type: ignore[import-untyped]

        http_client = http_client or TwilioHttpClient(timeout=TIMEOUT_S)
        self._client = Client(account_sid, auth_token, http_client=http_client)

    def hang_up(self, call_sid: str) -> None:
        """Ends the call; one that has already ended is no failure."""
        self._update("hang up", call_sid, status="completed")

    def redirect(self, call_sid: str, *, twiml: str | None = None, url: str | None = None) -> None:
        """Takes the call out of its stream to follow `twiml`, or what `url` answers.

        A call that has already ended is no failure. Raises ValueError unless exactly one
        of the two is given.
        """
        if (twiml is None) == (url is None):
            raise ValueError("redirect needs either twiml or url")
        fields = {"twiml": twiml} if url is None else {"url": url, "method": "POST"}
        self._update("redirect", call_sid, **fields)

    def _update(self, what: str, call_sid: str, **fields: Any) -> None:
        from requests import RequestException
        from twilio.base.exceptions import TwilioException, TwilioRestException  # type: ignore[import-untyped]

        if not _CALL_SID.fullmatch(call_sid):
            raise _failed(f"cannot {what} {call_sid[:40]!r}: not a CallSid", retryable=False)
        try:
            self._client.calls(call_sid).update(**fields)
        except TwilioRestException as error:
            if error.code == CALL_NOT_IN_PROGRESS:
                return
            raise _failed(
                f"Twilio did not {what} {call_sid}: HTTP {error.status}, {error.msg}",
                retryable=error.status >= 500 or error.status == 429,
            ) from error
        except (TwilioException, RequestException, OSError) as error:
            raise _failed(f"cannot {what} {call_sid}: {error}", retryable=True) from error


def _failed(message: str, *, retryable: bool) -> ServiceFailed:
    failure = ServiceFailed(" ".join(message.split()))
    failure.retryable = retryable
    return failure
