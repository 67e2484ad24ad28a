"""What is spoken alike in every language but for the words: digits, numbers, telephone numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voicebot.speech import parsing


@dataclass(frozen=True, slots=True)
class Numerals:
    """The words of a language. `ones`: zero to nine. `cardinal` speaks a whole number."""

    ones: tuple[str, ...]
    plus: str
    minus: str
    point: str
    cardinal: Callable[[int], str]

    def one_by_one(self, digits: str) -> str:
        """ "four two"."""
        return " ".join(self.ones[int(digit)] for digit in digits)

    def digit(self, sign: str) -> str | None:
        """The word of a sign that is a digit."""
        return self.ones[int(sign)] if sign.isascii() and sign.isdigit() else None

    def digits(self, value: str) -> str | None:
        """One by one, in groups."""
        digits = parsing.digits(value)
        if digits is None:
            return None
        return ", ".join(self.one_by_one(group) for group in parsing.grouped(digits))

    def phone(self, value: str) -> str | None:
        """Digits in groups; a leading + is said, and North America's country code stands alone."""
        number = parsing.phone(value)
        if number is None:
            return None
        if number.startswith("+1") and len(number) > 2:
            return f"{self.plus} {self.ones[1]}, {self.digits(number[2:])}"
        spoken = self.digits(number.removeprefix("+"))
        return f"{self.plus} {spoken}" if number.startswith("+") else spoken

    def number(self, value: str) -> str | None:
        """Digits where it is too long to be said as one; decimals one by one."""
        found = parsing.number(value)
        if found is None:
            return None
        if len(found.whole) > parsing.LONGEST_NUMBER:
            return self.digits(found.whole)
        whole, minus = int(found.whole), self.signed(found.is_negative)
        return minus + (self.decimal(whole, found.part) if found.part else self.cardinal(whole))

    def decimal(self, whole: int, part: str) -> str:
        """ "fifteen point two five"."""
        return f"{self.cardinal(whole)} {self.point} {self.one_by_one(part)}"

    def signed(self, is_negative: bool) -> str:
        """What stands before a negative number."""
        return f"{self.minus} " if is_negative else ""


def choice(value: str) -> str | None:
    """Choice values are identifiers: flat_white."""
    return " ".join(value.replace("_", " ").split())
