"""Prompts with values and optional parts."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.dialogue.templates import TemplateError, Value, parse
from voicebot.events import Say

pytestmark = pytest.mark.unit


def render(text: str, **values: str) -> tuple[str | Say, ...]:
    def speak(value: Value) -> Say | str | None:
        found = values.get(value.name)
        return found if found is None or value.kind is None else Say(found, value.kind)

    return parse(text).render(speak)


def test_values_and_kinds() -> None:
    assert render("Your {{ name }} holds {{sum|money}}.", name="account", sum="5.00") == (
        "Your account holds ",
        Say("5.00", "money"),
        ".",
    )


def test_optional_parts() -> None:
    text = "One [{{ size }}] {{ drink }}[, with {{ milk }}]."
    assert render(text, drink="latte") == ("One latte.",)
    assert render(text, drink="latte", size="small") == ("One small latte.",)
    assert render(text, drink="latte", milk="cream") == ("One latte, with cream.",)


def test_spaces_are_tidy() -> None:
    assert render("  a\n  {{ none }} b ,  c  ") == ("a b, c",)
    assert render("{{ none }}") == ()


def test_values_are_listed() -> None:
    template = parse("{{ a }} [{{ b.c | date }}] ")
    assert template.values == (Value("a"), Value("b.c", "date"))
    assert template.needed == (Value("a"),)


@pytest.mark.parametrize(
    "text",
    ["{{ a", "a }}", "{{ }}", "{{ a b }}", "{{ a | }}", "[a]", "[{{ a }}", "{{ a }}]", "[[{{a}}]]"],
)
def test_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        parse(text)


@given(st.text(alphabet="ab {}[]|.", max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(TemplateError):
        parse(text).render(lambda value: "x")


def test_paces_and_pauses() -> None:
    assert parse("{{ a | spell | slow }}").values == (Value("a", "spell", "slow"),)
    assert parse("{{ a | emphasis }}").values == (Value("a", None, "emphasis"),)
    assert render("One. {{ pause 500ms }} Two.{{pause 1.5s}}") == (
        "One. ",
        Say("500", "pause"),
        " Two.",
        Say("1500", "pause"),
    )


@pytest.mark.parametrize("text", ["{{ pause 0ms }}", "{{ pause 11s }}", "{{ a | slow | slow }}"])
def test_refused_paces(text: str) -> None:
    with pytest.raises(TemplateError):
        parse(text)
