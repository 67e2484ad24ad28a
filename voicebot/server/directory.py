"""What each call decided, until Twilio asks for it at `<Connect action>`. Pure; time is `now`."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

ACTION_WAIT_S = 5.0
"""How long a drain waits for Twilio to fetch a decision after its stream ended."""


@dataclass(frozen=True, slots=True)
class CallDecision:
    """How a call goes on after its stream: transferred to a number or SIP URI, or hung up.

    `summary` is for whoever answers. With `queue` the caller waits there, and hears `hold_prompt`
    (`{position}` is his place) and `hold_music`.
    """

    transfer_to: str | None = None
    summary: str = ""
    queue: str = ""
    hold_prompt: str = ""
    hold_music: str = ""


@dataclass(slots=True)
class _Entry:
    decision: CallDecision | None = None
    awaited_until_s: float | None = None


class CallDirectory:
    """Decisions by CallSid; the oldest are forgotten beyond `max_entries`."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def answered(self, call_sid: str) -> None:
        """The webhook was answered: from here a missing decision means a broken stream."""
        self._put(call_sid, _Entry())

    def ended(self, call_sid: str, decision: CallDecision | None, now: float) -> None:
        """The stream ended; `decision` is None when it broke before one was taken."""
        self._put(call_sid, _Entry(decision, now + ACTION_WAIT_S))

    def collect(self, call_sid: str) -> CallDecision | None:
        """The decision, for `<Connect action>`; it stays, for Twilio may repeat the request."""
        entry = self._entries.get(call_sid)
        if entry is None:
            return None
        entry.awaited_until_s = None
        return entry.decision

    def known(self, call_sid: str) -> CallDecision | None:
        """The decision of a call that has gone on by it."""
        entry = self._entries.get(call_sid)
        return entry.decision if entry is not None else None

    def forget_wait(self, call_sid: str) -> None:
        """Twilio will not ask any more: the call is over."""
        if entry := self._entries.get(call_sid):
            entry.awaited_until_s = None

    def awaiting(self, now: float) -> int:
        """Ended calls whose decision Twilio has still to fetch."""
        return sum(
            1
            for entry in self._entries.values()
            if entry.awaited_until_s is not None and now < entry.awaited_until_s
        )

    def _put(self, call_sid: str, entry: _Entry) -> None:
        self._entries[call_sid] = entry
        self._entries.move_to_end(call_sid)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
