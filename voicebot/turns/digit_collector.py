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
        self._typed: list[Digit] = []  # of this input, the terminator that closed it too
        self._is_closed = False  # by a terminator or by the next input's first key
        self._is_terminated = False
        self._late_terminator: tuple[str, int] | None = None  # key, until when to swallow it

    @property
    def keys(self) -> str:
        """The keys collected so far, without terminator."""
        typed = self._typed[:-1] if self._is_terminated else self._typed
        return "".join(digit.key for digit in typed)

    @property
    def is_empty(self) -> bool:
        """True while no key of this input has come."""
        return not self._typed

    @property
    def has_enough(self) -> bool:
        """True once `min_keys` have come."""
        return self._rule is not None and len(self.keys) >= self._rule.min_keys

    @property
    def has_typed_ahead(self) -> bool:
        """True while keys wait that nobody has asked for yet."""
        return bool(self._ahead)

    @property
    def last_at(self) -> int:
        """When the last key of this input came."""
        return self._typed[-1].at if self._typed else 0

    def open(self, rule: DigitRule | None, at: int) -> None:
        """Collect by `rule` from `at` on, first what was typed ahead; None: keys are ignored.

        Keys of an input that nobody took count as typed ahead, too.
        """
        ahead = [*self._typed, *self._ahead]
        self.drop()
        self._ahead.clear()
        self._rule, self._is_ignoring = rule, rule is None
        if rule is None or not rule.has_type_ahead:
            return
        for digit in ahead:
            # The pause after a key typed ahead counts from when it was asked for.
            self.add(Digit(digit.key, max(at, digit.at)))

    def close(self) -> None:
        """Nobody asks for keys now: those to come are typed ahead."""
        self._rule, self._is_ignoring = None, False

    def add(self, digit: Digit) -> None:
        """One key; anything that is not a DTMF key is ignored."""
        if self._is_ignoring or digit.key not in KEYS:
            return
        rule = self._rule
        if rule is not None and not self._is_closed:
            self._collect(digit, rule)
        elif not self._swallows(digit):
            self._ahead.append(digit)

    def _collect(self, digit: Digit, rule: DigitRule) -> None:
        is_full = self._is_full(rule)
        if not is_full and self._swallows(digit):
            return  # it belongs to the input before
        is_terminator = digit.key == rule.terminator
        if is_full and not is_terminator:
            self._is_closed, self._late_terminator = True, None
            self._ahead.append(digit)
        elif is_terminator and self._typed:
            self._typed.append(digit)
            self._is_closed = self._is_terminated = True
            self._late_terminator = None
        else:
            self._typed.append(digit)
            self._is_closed = is_terminator
            if self._is_full(rule) and rule.terminator is not None and not is_terminator:
                until = digit.at + max(_samples(rule.interdigit_ms), _samples(rule.term_ms))
                self._late_terminator = rule.terminator, until

    def _is_full(self, rule: DigitRule) -> bool:
        return len(self._typed) >= max(1, rule.max_keys)

    def _swallows(self, digit: Digit) -> bool:
        late, self._late_terminator = self._late_terminator, None
        return late is not None and digit.key == late[0] and digit.at <= late[1]

    def is_due(self, at: int) -> bool:
        """True when the input is closed at `at`: by length, terminator or pause."""
        rule = self._rule
        if rule is None or not self._typed:
            return False
        if self._is_closed:
            return True
        if not self._is_full(rule):
            return at - self.last_at >= _samples(rule.interdigit_ms)
        return rule.terminator is None or at - self.last_at >= _samples(rule.term_ms)

    def take(self) -> str:
        """The input; afterwards it is gone. Keys typed ahead stay."""
        keys = self.keys
        self.drop()
        return keys

    def drop(self) -> None:
        """Forget the keys of this input: a slip of the cheek, and the caller speaks instead."""
        self._typed.clear()
        self._is_closed = self._is_terminated = False

    def forget(self) -> None:
        """Forget everything, keys typed ahead too."""
        self.drop()
        self._ahead.clear()
        self._late_terminator = None


def _samples(ms: int) -> int:
    return ms * SAMPLE_RATE_HZ // 1000
