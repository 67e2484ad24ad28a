"""Checks of what stands in a plan and comes to nothing."""

from __future__ import annotations

from collections.abc import Iterator

from voicebot.dialogue import inherit, texts
from voicebot.dialogue.checks import Checker, did_you_mean
from voicebot.dialogue.flow import all_steps
from voicebot.dialogue.meaning import levels
from voicebot.dialogue.schema import Exit, Inherited, PlanKeys, Step
from voicebot.dialogue.source import Key
from voicebot.patterns import NO, YES

_ACTS = ("say", "call", "form", "goto", "transfer", "disconnect", "task", "goal", "prompt")


def check(checker: Checker, keys: PlanKeys) -> None:
    """Warn of weights of what nobody says, rungs that are never reached, keys without a value."""
    # Of a phrase in another of the plan's languages, this one knows nothing.
    known = _said(keys) if set(keys.languages) <= {keys.language} else set()
    for key, level in levels(keys):
        _check_weights(checker, key, level, known)
        _check_rungs(checker, key, level)
    for key, step in all_steps(keys):
        _check_empty(checker, key, step)
        how = step.voicemail
        if how is not None and how.min > how.max:
            checker.report(
                (*key, "voicemail"), f"'voicemail': min is longer than max ({how.min}, {how.max}ms)"
            )
    _check_languages(checker, keys)


def _check_languages(checker: Checker, keys: PlanKeys) -> None:
    """What a plan need not say is there in some languages only."""
    for language in (keys.language, *keys.languages):
        if texts.of(language) is texts.ENGLISH and not language.lower().startswith("en"):
            key: Key = ("languages", language) if language in keys.languages else ("language",)
            checker.report(
                key,
                f"'{language}': what a plan need not say (asking again, confirming, yes and no, "
                f"values) is English in it; complete are {', '.join(texts.LANGUAGES)}",
                is_warning=True,
            )


def _check_weights(checker: Checker, key: Key, level: Inherited, known: set[str]) -> None:
    for phrase in level.weights or {}:
        if known and phrase not in known:
            hint = did_you_mean(phrase, known) or "; it is written as there, brackets included"
            checker.report(
                (*key, "weights", phrase),
                f"'weights': no phrase, hint or choice is '{phrase}'{hint}",
                is_warning=True,
            )


def _said(keys: PlanKeys) -> set[str]:
    """All that weights may be given to, as it stands in the plan or in what it need not say."""
    found = {*YES, *NO}
    for universal in texts.of(keys.language).universals.values():
        found |= set(universal.phrases or ())
    for _, level in levels(keys):
        found |= set(level.hints or ())
        for one in (level.universals or {}).values():
            found |= set(one.phrases or ()) if one is not None else set()
    for language in keys.languages.values():
        found |= set(language.phrases or ())
    for form in keys.forms.values():
        found |= set(form.phrases or ())
        found |= {phrase for entry in form.menu or () for phrase in entry.phrases or ()}
        for field in form.fields.values():
            found |= set(field.phrases or ())
            for value, choice in inherit.choices(keys, field).items():
                found |= {value, value.replace("_", " "), *(choice.phrases or ())}
    return found


def _check_rungs(checker: Checker, key: Key, level: Inherited) -> None:
    """Who has left a place does not come to its next rung."""
    for name in ("noinput", "nomatch"):
        for index, _ in enumerate(rungs := getattr(level, name) or []):
            if index and rungs[index - 1].leaves:
                checker.report(
                    (*key, name, index),
                    f"'{name}': this rung is never reached; the one before leaves",
                    is_warning=True,
                )
                break


def _check_empty(checker: Checker, key: Key, step: Step | Exit) -> None:
    """`disconnect:` and nothing behind it: nothing is done."""
    for name in _empty(step):
        checker.report(
            (*key, name), f"'{name}' has no value, and does nothing; give it one, or remove it"
        )


def _empty(step: Step | Exit) -> Iterator[str]:
    for name in step.model_fields_set:
        if name in _ACTS and getattr(step, name) is None:
            yield name
