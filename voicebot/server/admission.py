"""Who may open a media stream: capacity and single-use stream tokens. Pure; time is `now`.

The webhook reserves a place and puts its token into the TwiML; Twilio hands it back in
`start.customParameters`. The token is good once, for its CallSid, until it expires; an
expired reservation gives its place back.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

TOKEN_BYTES = 24
"""192 random bits: not to be guessed within a token's life."""
ENDED_REMEMBERED_PER_PLACE = 4

RefusalReason = Literal["no reservation", "wrong token", "expired token", "reused token"]


@dataclass(frozen=True, slots=True)
class AdmittedCall:
    """A call that may proceed; `parameters` are the webhook's, not the stream's."""

    call_sid: str
    parameters: Mapping[str, str]
    admitted_s: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a token was not accepted."""

    reason: RefusalReason


@dataclass(frozen=True, slots=True)
class _Reservation:
    token: str
    parameters: Mapping[str, str]
    expires_s: float


class Admission:
    """Places for `max_calls` calls, reserved or live.

    Memory is bounded: at most `max_calls` reservations and live calls together, and a
    few CallSids per place that are remembered only to name the reason of a refusal.
    """

    def __init__(
        self,
        max_calls: int,
        token_ttl_s: float = 60.0,
        *,
        places: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`places`: how many calls can be served at the moment, None: `max_calls`. Should it be
        less than there are, they stay, and no new ones come."""
        self.max_calls = max_calls
        self._places = places
        self._token_ttl_s = token_ttl_s
        # Every reservation lives equally long, so insertion order is expiry order.
        self._reserved: OrderedDict[str, _Reservation] = OrderedDict()
        self._live: set[str] = set()
        self._ended: OrderedDict[str, RefusalReason] = OrderedDict()

    @property
    def live(self) -> int:
        """Calls whose token was redeemed and that were not released."""
        return len(self._live)

    def occupied(self, now: float) -> int:
        """Places taken by reservations and live calls."""
        self._expire(now)
        return len(self._reserved) + len(self._live)

    def issue(self, call_sid: str, parameters: Mapping[str, str], now: float) -> str | None:
        """Reserve a place and return its token; None when full or when the call is live.

        Twilio repeats a webhook that was slow: a second token replaces the first and takes
        no second place.
        """
        self._expire(now)
        self._reserved.pop(call_sid, None)
        places = self._places()
        most = self.max_calls if places is None else min(places, self.max_calls)
        if call_sid in self._live or len(self._reserved) + len(self._live) >= most:
            return None
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._reserved[call_sid] = _Reservation(token, dict(parameters), now + self._token_ttl_s)
        self._ended.pop(call_sid, None)
        return token

    def redeem(self, token: str, call_sid: str, now: float) -> AdmittedCall | Refusal:
        """Turn a reservation into a live call, once.

        A wrong token leaves the reservation in place: whoever guesses must not be able to
        cut off the real caller.
        """
        self._expire(now)
        reservation = self._reserved.get(call_sid)
        if reservation is None:
            if call_sid in self._live:
                return Refusal("reused token")
            return Refusal(self._ended.get(call_sid, "no reservation"))
        if not hmac.compare_digest(token.encode(), reservation.token.encode()):
            return Refusal("wrong token")
        del self._reserved[call_sid]
        self._live.add(call_sid)
        return AdmittedCall(call_sid, reservation.parameters, now)

    def release(self, call_sid: str) -> None:
        """Give back the place of a call, live or only reserved; unknown calls are ignored."""
        was_reserved = self._reserved.pop(call_sid, None) is not None
        if was_reserved or call_sid in self._live:
            self._live.discard(call_sid)
            self._remember(call_sid, "expired token" if was_reserved else "reused token")

    def _expire(self, now: float) -> None:
        while self._reserved:
            call_sid, reservation = next(iter(self._reserved.items()))
            if now < reservation.expires_s:
                return
            del self._reserved[call_sid]
            self._remember(call_sid, "expired token")

    def _remember(self, call_sid: str, reason: RefusalReason) -> None:
        self._ended[call_sid] = reason
        self._ended.move_to_end(call_sid)
        while len(self._ended) > ENDED_REMEMBERED_PER_PLACE * self.max_calls:
            self._ended.popitem(last=False)
