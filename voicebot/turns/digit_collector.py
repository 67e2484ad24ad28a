"""DTMF keys to one input: at most so many, closed by a terminator or a pause. Pure."""

from __future__ import annotations

from collections import deque

from voicebot.events import SAMPLE_RATE_HZ, Digit, DigitRule

KEYS = frozenset("0123456789*#ABCD")
TYPE_AHEAD_KEYS = 32
"""Keys remembered before anybody asks for them; the oldest go first."""


class DigitCollector:
    """Keys of one call. Those typed before they are asked for are kept (type-ahead).

    A terminator with nothing before it is itself the input, so that a menu may offer "#". One
    that follows an input closed by its length belongs to that input and is swallowed.
    """

    def __init__(self) -> None:
        """Nothing is collected until `open`."""
        self._rule: DigitRule | None = None
        self._is_ignoring = False
        self._ahead: deque[Digit] = deque(maxlen=TYPE_AHEAD_KEYS)
        self._keys: list[str] = []
        self._last_at = 0
        self._is_complete = False
        self._late_terminator: tuple[str, int] | None = None  # key, until when to swallow it

    @property
    def keys(self) -> str:
        """The keys collected so far, without terminator."""
        return "".join(self._keys)

    @property
    def is_empty(self) -> bool:
        """True while no key of this input has come."""
        return not self._keys

    @property
    def has_enough(self) -> bool:
        """True once `min_keys` have come."""
        return self._rule is not None and len(self._keys) >= self._rule.min_keys

    @property
    def last_at(self) -> int:
        """When the last key of this input came."""
        return self._last_at

    def open(self, rule: DigitRule | None, at: int) -> None:
        """Collect by `rule` from `at` on, first what was typed ahead; None: keys are ignored."""
        self._rule, self._is_ignoring = rule, rule is None
        self._keys, self._is_complete = [], False
        ahead, self._ahead = list(self._ahead), deque(maxlen=TYPE_AHEAD_KEYS)
        if rule is None:
            return
        for digit in ahead:
            # The pause after a key typed ahead counts from when it was asked for.
            self.add(Digit(digit.key, max(at, digit.at)))

    def close(self) -> None:
        """Nobody asks for keys now: those to come are typed ahead."""
        self._rule, self._is_ignoring = None, False

    def add(self, digit: Digit) -> None:
        """One key; anything that is not a DTMF key is ignored."""
        if self._is_ignoring or digit.key not in KEYS or self._swallows(digit):
            return
        rule = self._rule
        if rule is None or self._is_complete:
            self._ahead.append(digit)
            return
        self._last_at = digit.at
        if digit.key == rule.terminator and self._keys:
            self._is_complete = True
            return
        self._keys.append(digit.key)
        if digit.key == rule.terminator:
            self._is_complete = True
        elif len(self._keys) >= max(1, rule.max_keys):
            self._is_complete = True
            if rule.terminator is not None:
                self._late_terminator = rule.terminator, digit.at + _pause(rule)

    def _swallows(self, digit: Digit) -> bool:
        late, self._late_terminator = self._late_terminator, None
        return late is not None and digit.key == late[0] and digit.at <= late[1]

    def is_due(self, at: int) -> bool:
        """True when the input is closed at `at`: by length, terminator or pause."""
        if self._rule is None or not self._keys:
            return False
        return self._is_complete or at - self._last_at >= _pause(self._rule)

    def take(self) -> str:
        """The input; afterwards it is gone. Keys typed ahead stay."""
        keys, self._keys, self._is_complete = self.keys, [], False
        return keys

    def drop(self) -> None:
        """Forget the keys of this input: a slip of the cheek, and the caller speaks instead."""
        self._keys, self._is_complete = [], False

    def forget(self) -> None:
        """Forget everything, keys typed ahead too."""
        self.drop()
        self._ahead.clear()
        self._late_terminator = None


def _pause(rule: DigitRule) -> int:
    return rule.interdigit_ms * SAMPLE_RATE_HZ // 1000
