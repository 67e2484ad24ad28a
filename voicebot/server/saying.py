"""`voicebot say`: a prompt as callers hear it, with values to listen to where it has some."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

from voicebot.audio import mulaw
from voicebot.config import load_settings
from voicebot.dialogue import inherit, naming, templates
from voicebot.dialogue.checks import did_you_mean
from voicebot.dialogue.expectations import Place, places
from voicebot.dialogue.plan import Plan, load_plan
from voicebot.dialogue.schema import FieldKeys, PlanKeys, PromptPart
from voicebot.errors import UserMistake
from voicebot.events import SAMPLE_RATE_HZ, Say, SlotType, SpokenPrompt
from voicebot.server.arguments import PLANS, ends_in
from voicebot.speech.prompts import Prompts

PLAYERS = (
    ("paplay",),
    ("aplay", "-q"),
    ("afplay",),
    ("play", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"),
)
_SAMPLES = {
    "yes_no": "yes",
    "digits": "4711",
    "number": "3",
    "amount": "12.50",
    "money": "12.50",
    "date": "2026-11-20",
    "time": "14:30",
    "phone": "5550123",
    "letters": "ABC",
    "spell": "ABC",
    "ordinal": "2",
}
"""What stands for values that only a call has."""

Parts = tuple[str | Say, ...]


def prompt_of(words: Sequence[str], language: str | None = None) -> tuple[Parts, str]:
    """What is to be said, and in which language: a text, or a plan's prompt at a state.

    `language`: another than the plan's own, or the text's, which is else English.
    """
    if not "".join(words).strip():
        raise UserMistake("say: there are no words to speak")
    if not words[0].endswith(PLANS):
        return (" ".join(words),), language or "en"
    if len(words) > 2:
        raise UserMistake(f"say: one state at a time; {' '.join(words[2:])} is too much")
    plan = load_plan(words[0])
    language = language or plan.language
    if language not in plan.languages:
        there = ", ".join(plan.languages)
        raise UserMistake(f"say: {plan.path} has no language {language!r}; it has {there}")
    keys = plan.in_language(language)
    return _spoken_at(plan, keys, words[1] if len(words) == 2 else "welcome"), language


def _spoken_at(plan: Plan, keys: PlanKeys, state: str) -> Parts:
    known = {place.state: place for place in places(keys)}
    if state == "welcome":
        prompt = keys.welcome
    elif state in known:
        prompt = _prompt(keys, known[state])
    else:
        options = ["welcome", *known]
        hint = did_you_mean(state, options) or f"; there are {', '.join(options)}"
        raise UserMistake(f"say: no state {state!r} in {plan.path}{hint}")
    if not prompt:
        raise UserMistake(f"say: the plan says nothing at {state!r}")
    parts: list[str | Say] = []
    for part in prompt:
        parts += [*templates.parse(part.say).render(lambda value: _sample(keys, value)), " "]
    return templates.tidy(parts)


def _prompt(keys: PlanKeys, place: Place) -> list[PromptPart] | None:
    form = keys.forms[place.form]
    if place.kind == "confirm":
        return inherit.confirm(keys, place).prompt
    if place.kind == "field":
        return naming.question(keys, place.field, form.fields[place.field])
    if place.kind in {"review", "change"} and form.review is not None:
        return form.review.prompt if place.kind == "review" else form.review.change
    return form.prompt


def _sample(keys: PlanKeys, value: templates.Value) -> Say | str:
    fields = {name: one for form in keys.forms.values() for name, one in form.fields.items()}
    field = fields.get(value.name)
    kind = value.kind or (inherit.slot_type(field).value if field is not None else "text")
    if field is not None and kind == SlotType.CHOICE.value:
        return Say(_choice(keys, field, list(fields).index(value.name)), "text", value.pace)
    sample = _SAMPLES.get(kind, value.name.replace("_", " "))
    return Say(templates.priced(keys.currency, sample, kind), kind, value.pace)


def _choice(keys: PlanKeys, field: FieldKeys, number: int) -> str:
    """One of the field's choices; fields that share a list get different ones."""
    choices = list(inherit.choices(keys, field).items())
    name, choice = choices[number % len(choices)]
    return choice.say or name


def audible(parts: Parts, language: str) -> SpokenPrompt:
    """Rendered with the configured voice. SettingsError, ModelUnavailable in one line."""
    from voicebot.server.voice import make_prompts

    prompts: Prompts = make_prompts(load_settings(), language)[0]
    return prompts.render(parts)


def write_wav(spoken: SpokenPrompt, path: Path) -> None:
    """16-bit WAV, 8 kHz; UserMistake where it cannot be written."""
    ends_in("say", path, ".wav", "what is written is WAV")
    try:
        with path.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            file.writeframes(mulaw.decode(spoken.mulaw).tobytes())
    except OSError as error:
        raise UserMistake(
            f"say: {path} cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from None


def play(spoken: SpokenPrompt) -> None:
    """Through this machine's loudspeaker; UserMistake where there is no player."""
    player = next((command for command in PLAYERS if shutil.which(command[0])), None)
    if player is None:
        raise UserMistake("say: no player found on this machine; write a file with -o FILE.wav")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prompt.wav"
        write_wav(spoken, path)
        with contextlib.suppress(KeyboardInterrupt):
            # A player of the list above and a file of our own.
            done = subprocess.run(  # noqa: S603
                [*player, str(path)], check=False, stdin=subprocess.DEVNULL
            )
            if done.returncode:
                raise UserMistake(
                    f"say: {player[0]} cannot play here; write a file with -o FILE.wav"
                )
