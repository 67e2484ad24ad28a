"""Conditions: what holds, what is refused, and that nothing is ever executed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.dialogue.expressions import ExpressionError, look_up, parse

pytestmark = pytest.mark.unit

VALUES: dict[str, object] = {
    "amount": "50.00",
    "account": "savings",
    "more": "no",
    "ok": "yes",
    "on": True,
    "off": False,
    "empty": "",
    "vip": None,
    "count": 3,
    "call": {"tier": "gold"},
}


@pytest.mark.parametrize(
    "text",
    [
        "amount == 50",
        "amount > 9",  # as numbers, not as text
        "amount <= 50.00 and count >= 3",
        "account == 'savings'",
        'account != "checking"',
        "not more",
        "ok and on",
        "not off and not empty",
        "not (ok and off)",
        "off or on",
        "vip == none",
        "account != none",
        "nobody == none",
        "call.tier == 'gold'",
        "not call.nothing.at.all",
        "on == true",
        "count > -1",
        "-count == -3 and count - -count == 6 and -(count) * 2 == -6",
        "-account == none",
        "'a' < 'b'",
    ],
)
def test_holds(text: str) -> None:
    assert parse(text).is_true(lambda name: look_up(VALUES, name))


@pytest.mark.parametrize(
    "text",
    ["more", "vip", "vip > 1", "vip < 1", "amount > 50", "account == 'Savings'", "0 == none"],
)
def test_does_not_hold(text: str) -> None:
    assert not parse(text).is_true(lambda name: look_up(VALUES, name))


def test_names() -> None:
    assert parse("a and (b.c == 'd' or not a)").names == ("a", "b.c")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("amount = 5", "compare with '=='"),
        ("", "empty condition"),
        ("amount >", "ends too soon"),
        ("(amount > 5", "a closing"),
        ("amount > 5 6", "unexpected '6'"),
        ("and amount", "a value is missing before 'and'"),
        ("__import__('os')", "cannot read|unexpected"),
        ("a % b", "cannot read"),
        ("'open", "cannot read"),
        ("not " * 30 + "a", "nested deeper"),
        ("(" * 200 + "a" + ")" * 200, "nested deeper"),
        ("a" * 501, "longer than"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(ExpressionError, match=problem):
        parse(text)


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        expression = parse(text)
    except ExpressionError:
        return
    expression.is_true(lambda name: look_up(VALUES, name))


@given(
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    *[st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.booleans())] * 2,
)
def test_comparisons_never_raise(operator: str, left: object, right: object) -> None:
    values = {"left": left, "right": right}
    outcome = parse(f"left {operator} right").is_true(lambda name: look_up(values, name))
    if all(type(value) is int for value in (left, right)):
        expected = {"==": left == right, "<": Decimal(str(left)) < Decimal(str(right))}
        assert outcome == expected.get(operator, outcome)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price * 2 + 1", "26"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("price / 4", "3.125"),
        ("1 / 3", "0.3333333333"),
        ("price - 0.50", "12"),
        ("-2 + 5", "3"),
        ("price / 0", None),
        ("nothing + 1", None),
        ("'a' * 2", None),
        ("'Room ' + price", "Room 12.5"),
        ("1000000 * 1000000", "1000000000000"),
        ("price in (1, 12.5)", True),
        ("price in (1, 2)", False),
        ("price + 1 > 13", True),
    ],
)
def test_sums(text: str, expected: object) -> None:
    assert parse(text).value({"price": "12.5"}.get) == expected


@pytest.mark.parametrize(
    "text", ["1 +", "* 2", "a in b", "a in (", "a in ()", "a in (1", "1 + + 2"]
)
def test_sums_that_are_none(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def test_three_compared_at_once_are_told_how() -> None:
    with pytest.raises(ExpressionError, match="unexpected '<'; compare two at a time, a < b and"):
        parse("1 < count < 5")
    with pytest.raises(ExpressionError, match="nested deeper"):
        parse("-" * 200 + "count")
