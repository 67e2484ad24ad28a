"""Conditions of a plan (`when: amount > 500 and not vip`): parsed here, never by eval.

    or   := and ("or" and)*
    and  := not ("and" not)*
    not  := "not" not | test
    test := sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum | "in" "(" sum ("," sum)* ")"]
    sum  := term (("+" | "-") term)*
    term := atom (("*" | "/") atom)*
    atom := "-" atom | number | 'text' | true | false | none | name ["." name]* | "(" or ")"

Values are compared as numbers when both sides are numbers, else as text. A name that is not
filled is `none`: equal to nothing but `none`, and neither smaller nor larger than anything. Sums
are of numbers (`+` also joins texts); what cannot be computed is `none`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, localcontext
from functools import lru_cache

MAX_CHARS = 500
MAX_DEPTH = 20
MAX_DIGITS = 40
MAX_TEXT = 1000

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(?P<op>==|!=|<=|>=|<|>|\(|\)|-|\+|\*|/|,))"
)
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "none": None}
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
_FALSE_WORDS = {"", "no", "false"}

Values = Callable[[str], object]
"""Looks a dotted name up; None when it has no value."""


class ExpressionError(ValueError):
    """What is wrong with an expression, and how to mend it."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed condition; `names` are the variables it reads (dotted names whole)."""

    text: str
    tree: tuple[object, ...]
    names: tuple[str, ...]

    def value(self, values: Values) -> object:
        """The expression's value; never raises."""
        return _value(self.tree, values)

    def is_true(self, values: Values) -> bool:
        """Whether it holds; "no", "false", "", 0 and what is not filled are false."""
        return truth(self.value(values))


def truth(value: object) -> bool:
    """Truth of a slot or variable: a yes/no slot that holds "no" is false."""
    if isinstance(value, str):
        return value.lower() not in _FALSE_WORDS
    return bool(value)


def look_up(values: Mapping[str, object], name: str, absent: object = None) -> object:
    """`a.b` in nested mappings; `absent` when it is not there."""
    found: object = values
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return absent
        found = found[part]
    return found


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Parse a condition; ExpressionError says what is wrong."""
    parser = _Parser(text)
    tree = parser.either()
    if parser.position < len(parser.tokens):
        word = parser.tokens[parser.position][1]
        hint = "; compare two at a time, a < b and b < c" if word in _COMPARISONS else ""
        raise ExpressionError(f"unexpected {word!r}{hint}")
    return Expression(text, tree, tuple(dict.fromkeys(parser.names)))


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > MAX_CHARS:
        raise ExpressionError(f"longer than {MAX_CHARS} characters")
    tokens: list[tuple[str, str]] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            rest = text[position:end].strip()
            hint = "; compare with '=='" if rest.startswith("=") else ""
            raise ExpressionError(f"cannot read {rest[:20]!r}{hint}")
        kind = match.lastgroup or "op"
        tokens.append((kind, match[kind]))
        position = match.end()
    if not tokens:
        raise ExpressionError("empty condition")
    return tokens


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.position = 0
        self.depth = 0
        self.names: list[str] = []

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.position += 1
        return token

    def _accept(self, *words: str) -> str | None:
        kind, text = self.peek()
        if kind in {"op", "name"} and text in words:
            self.position += 1
            return text
        return None

    def either(self) -> tuple[object, ...]:
        tree = self._both()
        while self._accept("or"):
            tree = ("or", tree, self._both())
        return tree

    def _both(self) -> tuple[object, ...]:
        tree = self._negation()
        while self._accept("and"):
            tree = ("and", tree, self._negation())
        return tree

    def _negation(self) -> tuple[object, ...]:
        if not self._accept("not"):
            return self._test()
        self._deeper()
        tree = ("not", self._negation())
        self.depth -= 1
        return tree

    def _test(self) -> tuple[object, ...]:
        left = self._sum()
        if self._accept("in"):
            return self._member(left)
        operator = self._accept(*_COMPARISONS)
        return left if operator is None else (operator, left, self._sum())

    def _member(self, left: tuple[object, ...]) -> tuple[object, ...]:
        """`size in ('small', 'large')`: equal to one of them."""
        if not self._accept("("):
            raise ExpressionError("'in' is followed by values in brackets: in ('a', 'b')")
        tree: tuple[object, ...] = ("==", left, self._sum())
        while self._accept(","):
            tree = ("or", tree, ("==", left, self._sum()))
        if not self._accept(")"):
            raise ExpressionError("a closing ')' is missing")
        return tree

    def _sum(self) -> tuple[object, ...]:
        tree = self._term()
        while operator := self._accept("+", "-"):
            tree = (operator, tree, self._term())
        return tree

    def _term(self) -> tuple[object, ...]:
        tree = self._atom()
        while operator := self._accept("*", "/"):
            tree = (operator, tree, self._atom())
        return tree

    def _atom(self) -> tuple[object, ...]:
        kind, text = self.take()
        if kind == "op" and text == "(":
            self._deeper()
            tree = self.either()
            self.depth -= 1
            if not self._accept(")"):
                raise ExpressionError("a closing ')' is missing")
            return tree
        if kind == "op" and text == "-" and self.peek()[0] == "number":
            return ("constant", "-" + self.take()[1])
        if kind == "op" and text == "-":
            self._deeper()
            tree = ("-", ("constant", "0"), self._atom())
            self.depth -= 1
            return tree
        if kind == "number":
            return ("constant", text)
        if kind == "text":
            return ("constant", text[1:-1])
        if kind == "name" and text in _CONSTANTS:
            return ("constant", _CONSTANTS[text])
        if kind == "name" and text not in {"and", "or", "not", "in"}:
            self.names.append(text)
            return ("name", text)
        raise ExpressionError(f"a value is missing before {text!r}" if text else "it ends too soon")

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH}")


def _value(tree: tuple[object, ...], values: Values) -> object:
    kind = tree[0]
    if kind == "constant":
        return tree[1]
    if kind == "name":
        return values(str(tree[1]))
    inner = [part for part in tree[1:] if isinstance(part, tuple)]
    if kind == "not":
        return not truth(_value(inner[0], values))
    if kind == "and":
        return truth(_value(inner[0], values)) and truth(_value(inner[1], values))
    if kind == "or":
        return truth(_value(inner[0], values)) or truth(_value(inner[1], values))
    if kind in {"+", "-", "*", "/"}:
        return _computed(str(kind), _value(inner[0], values), _value(inner[1], values))
    return _compare(str(kind), _value(inner[0], values), _value(inner[1], values))


def _computed(operator: str, left: object, right: object) -> str | None:
    """A decimal as text, without an exponent; None where there is no such number."""
    one, other = _number(left), _number(right)
    if one is None or other is None:
        joins = operator == "+" and left is not None and right is not None
        return (_text(left) + _text(right))[:MAX_TEXT] if joins else None
    try:
        with localcontext(prec=30):
            found = {"+": one + other, "-": one - other, "*": one * other}.get(operator)
            if found is None:
                found = one / other
            text = format(round(found, 10).normalize(), "f")
    except (ArithmeticError, ValueError):
        return None
    return text if len(text) <= MAX_DIGITS else None


def _compare(operator: str, left: object, right: object) -> bool:
    if left is None or right is None:
        return (left is right) == (operator == "==") if operator in {"==", "!="} else False
    numbers = _number(left), _number(right)
    if numbers[0] is not None and numbers[1] is not None:
        return _ordered(operator, numbers[0], numbers[1])
    return _ordered(operator, _text(left), _text(right))


def _ordered(operator: str, left: Decimal | str, right: Decimal | str) -> bool:
    smaller = left < right  # type: ignore[operator]  # both are of one type
    return {
        "==": left == right,
        "!=": left != right,
        "<": smaller,
        "<=": smaller or left == right,
        ">": not smaller and left != right,
        ">=": not smaller,
    }[operator]


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
