"""Further wishes of one utterance: kept while the first is dealt with, then begun in order."""

from __future__ import annotations

from dataclasses import replace

from voicebot.dialogue import texts
from voicebot.dialogue.activations import Activations
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.flow import ends_the_call
from voicebot.dialogue.performer import Performer
from voicebot.dialogue.state import Wish
from voicebot.dialogue.taking import Taker
from voicebot.dialogue.understanding import understand
from voicebot.events import Expectation, Interpretation, SlotValue

MAX_WISHES = 4
"""More in one breath are not kept."""


class Wishes:
    """The wishes that wait in a State."""

    def __init__(self, performer: Performer, activations: Activations, taker: Taker) -> None:
        self._performer = performer
        self._activations = activations
        self._taker = taker
        self._state = performer.state

    def keep(self, place: Place, waits_for: Expectation, heard: Interpretation) -> None:
        """Keep what was asked for besides the first wish, and say so to the caller."""
        kept = self._state.wishes
        dropped: list[Wish] = []
        before, ends = len(kept), ends_the_call(self._performer.form)
        for reading in heard.also:
            alone = replace(
                heard, intent=reading.intent, slots=reading.slots, confidence=reading.confidence,
                nbest=(), denied=(), also=(), is_universal=False,
            )  # fmt: skip
            found = understand(self._performer.keys, place, waits_for, alone, {})
            if found.form is None:
                continue
            slots = [(one.name, one.value, one.text, one.confidence) for one in found.values]
            wish = Wish(form=found.form, slots=slots, depth=len(self._state.stack))
            (dropped if ends or len(kept) >= MAX_WISHES else kept).append(wish)
        if len(kept) > before:
            forms = [wish.form for wish in kept[before:]]
            self._performer.note("further wishes", {"forms": forms})
            self._performer.play(texts.of(self._performer.keys.language).also)
        if dropped:
            self._performer.note("wishes dropped", {"forms": [wish.form for wish in dropped]})
            self._performer.play(texts.of(self._performer.keys.language).no_more)

    def take_up(self) -> bool:
        """Fill the present form with what was kept for it; False: nothing was."""
        return self._taker.values.take_up()

    def begin(self) -> bool:
        """Turn to the next wish, where one waits: False where none does.

        Where a digression has come back, only what was said during it: the form that waits goes on
        before what was wished for earlier."""
        state, forms = self._state, self._performer.keys.forms
        is_digression = bool(state.stack) or state.is_resumed
        fitting = [
            wish
            for wish in state.wishes
            if not is_digression or (forms[wish.form].anywhere and wish.depth > len(state.stack))
        ]
        if not fitting:
            return False
        wish = fitting[0]
        state.wishes.remove(wish)
        self._performer.play(texts.of(self._performer.keys.language).then)
        if is_digression:
            self._activations.digress(wish.form)
        else:
            self._performer.enter(wish.form)
        self._taker.values.merge([SlotValue(*slot) for slot in wish.slots])
        state.is_opened = forms[wish.form].llm is None
        return True
