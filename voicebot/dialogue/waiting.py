"""Checks of how a plan waits for its callers: keys, timeouts and interruptions at each place.

What counts is what is in force there, inherited values included; a problem is reported at the
nearest level that says anything about it.
"""

from __future__ import annotations

from collections.abc import Iterator

from voicebot.dialogue import inherit
from voicebot.dialogue.checks import Checker
from voicebot.dialogue.expectations import Place, asked_slot, digit_rule, offered_keys, places
from voicebot.dialogue.schema import FieldKeys, FormKeys, Keys, PlanKeys, PromptPart, Review
from voicebot.dialogue.source import Key
from voicebot.events import BargeInMode, SlotType

_KEYED = {SlotType.DIGITS, SlotType.PHONE}


def check(checker: Checker, keys: PlanKeys) -> None:
    """Report keys that nobody can enter, timeouts that contradict each other, deaf prompts."""
    once = _Once(checker)
    for place in places(keys):
        _check_offered(once, keys, place)
        _check_lengths(once, keys, place)
        _check_terminator(once, keys, place)
        _check_timeouts(once, keys, place)
        _check_barge_in(once, keys, place)


class _Once:
    """A Checker to which several places say the same of what they inherit."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._said: set[tuple[Key, str]] = set()

    def report(self, key: Key, message: str, *, is_warning: bool = False) -> None:
        if (key, message) not in self._said and key not in self._checker.broken:
            self._said.add((key, message))
            self._checker.report(key, message, is_warning=is_warning)


def _level_keys(keys: PlanKeys, place: Place) -> Iterator[Key]:
    """Where the levels of `inherit.levels` stand in the file."""
    form: Key = ("forms", place.form)
    if place.field:
        yield (*form, "fields", place.field)
    if place.kind in {"review", "change"} and keys.forms[place.form].review is not None:
        yield (*form, "review")
    yield form
    yield ()


def _where(keys: PlanKeys, place: Place, group: str, *names: str) -> Key:
    """The nearest level that sets any of `names` in `group` (`group` itself without names)."""
    for key, level in zip(_level_keys(keys, place), inherit.levels(keys, place), strict=True):
        found = getattr(level, group)
        name = next((name for name in names if name in _given(found)), None)
        if found is not None and (name is not None or not names):
            return (*key, group, name) if name is not None else (*key, group)
    return next(_level_keys(keys, place))


def _given(found: object) -> set[str]:
    return found.model_fields_set if isinstance(found, Keys) else set()


def _check_offered(once: _Once, keys: PlanKeys, place: Place) -> None:
    settings, rule = inherit.dtmf(keys, place), digit_rule(keys, place)
    focus = asked_slot(keys, place)
    for sequence, meaning in offered_keys(keys, place).items():
        if rule is None:
            continue
        if rule.terminator is not None and rule.terminator in sequence and len(sequence) > 1:
            once.report(
                _offer(keys, place, sequence),
                f"{sequence} for '{meaning}' cannot be entered: {rule.terminator} ends the input; "
                "take other keys or another 'terminator'",
            )
        elif len(sequence) > rule.max_keys:
            once.report(
                _where(keys, place, "dtmf", "max"),
                f"{sequence} for '{meaning}' cannot be entered: 'max' is {rule.max_keys}",
            )
    has_own = place.kind == "menu" or (focus is not None and focus.type is SlotType.CHOICE)
    own = set(offered_keys(keys, place).values()) - set(inherit.universals(keys, place))
    if settings.max == 0 and has_own and own:
        once.report(
            _where(keys, place, "dtmf"),
            f"keys are ignored here, but '{min(own)}' has one",
            is_warning=True,
        )


def _offer(keys: PlanKeys, place: Place, sequence: str) -> Key:
    """Where a key sequence is offered."""
    form: Key = ("forms", place.form)
    if place.kind == "menu":
        for index, entry in enumerate(keys.forms[place.form].menu or ()):
            if entry.dtmf == sequence:
                return (*form, "menu", index, "dtmf")
    elif place.field:
        field = keys.forms[place.form].fields[place.field]
        key: Key = (*form, "fields", place.field, "choices")
        for value, choice in inherit.choices(keys, field).items():
            if choice.dtmf == sequence:
                return (*(key if field.choices else ("lists", field.list or "")), value, "dtmf")
    return _where(keys, place, "universals")


def _check_lengths(once: _Once, keys: PlanKeys, place: Place) -> None:
    settings, focus = inherit.dtmf(keys, place), asked_slot(keys, place)
    if not settings.max:
        return
    if settings.min is not None and settings.min > settings.max:
        once.report(
            _where(keys, place, "dtmf", "min", "max"),
            f"'dtmf': min is larger than max ({settings.min} > {settings.max})",
        )
    if focus is None or focus.type not in _KEYED or focus.min_length is None:
        return
    if focus.min_length > settings.max:
        once.report(
            _where(keys, place, "dtmf", "max"),
            f"'dtmf': 'max' is {settings.max}, but the field holds at least {focus.min_length}",
        )


def _check_terminator(once: _Once, keys: PlanKeys, place: Place) -> None:
    rule = digit_rule(keys, place)
    if rule is not None and rule.term_ms and rule.terminator is None:
        once.report(
            _where(keys, place, "dtmf", "term"),
            "'dtmf': 'term' waits for the terminator, but there is none",
            is_warning=True,
        )


def _check_timeouts(once: _Once, keys: PlanKeys, place: Place) -> None:
    timeouts = inherit.timeouts(keys, place)
    if timeouts.complete_ms > timeouts.incomplete_ms:
        once.report(
            _where(keys, place, "timeouts", "complete", "incomplete"),
            f"'timeouts': 'complete' ({timeouts.complete_ms}ms) is longer than 'incomplete' "
            f"({timeouts.incomplete_ms}ms): who has finished waits longer than who may go on",
            is_warning=True,
        )
    longest = max(timeouts.incomplete_ms, timeouts.digits_ms)
    if timeouts.max_speech_ms <= longest:
        once.report(
            _where(keys, place, "timeouts", "max_speech", "incomplete", "digits"),
            f"'timeouts': 'max_speech' ({timeouts.max_speech_ms}ms) leaves no time to speak: a "
            f"pause alone lasts {longest}ms",
            is_warning=True,
        )


def _check_barge_in(once: _Once, keys: PlanKeys, place: Place) -> None:
    if digit_rule(keys, place) is not None:
        return
    for key, part in _question(keys, place):
        if part.barge_in is BargeInMode.DTMF:
            once.report(
                (*key, "barge_in"),
                f"only keys may interrupt this, but none are expected at '{place.state}'",
                is_warning=True,
            )
    if inherit.barge_in(keys, place) is BargeInMode.DTMF:
        once.report(
            _where(keys, place, "barge_in"),
            f"only keys may interrupt at '{place.state}', but none are expected there",
            is_warning=True,
        )


def _question(keys: PlanKeys, place: Place) -> Iterator[tuple[Key, PromptPart]]:
    """What is spoken where the dialogue then waits at `place`, part by part."""
    form = keys.forms[place.form]
    key: Key = ("forms", place.form)
    asks: FieldKeys | Review | FormKeys | None = form
    if place.kind == "field":
        key, asks = (*key, "fields", place.field), form.fields[place.field]
    elif place.kind == "review":
        key, asks = (*key, "review"), form.review
    elif place.kind not in {"menu", "open"}:
        return
    for name in ("prompt", "reprompt"):
        for index, part in enumerate(getattr(asks, name) or ()):
            yield (*key, name, index), part
