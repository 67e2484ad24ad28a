"""Callers who speak another language, where a dialogue waits for something in English.

Spoken by espeak at run time; most of the languages, and all of the sentences, are none that the
confidence was fitted to. Nothing of it is English: every word is invented, every value that the
dialogue takes is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.audio.pcm import to_float
from voicebot.audio.resample import resample
from voicebot.errors import ModelUnavailable
from voicebot.evaluation.asr_hearing import RECOGNISER_HZ, Ear, over_telephone
from voicebot.events import (
    CONFIRM_SLOT,
    SAMPLE_RATE_HZ,
    Choice,
    Expectation,
    Hypothesis,
    SlotSpec,
    SlotType,
)
from voicebot.nlu.interpreter import interpret
from voicebot.speech.voices import EspeakVoice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.asr.recogniser import Recogniser

    Signal = NDArray[np.float32]

SURE = 0.5
"""From this confidence on a dialogue takes a value, if only to ask whether it is right."""
QUICK = 6
"""Sentences."""
TODAY = date(2026, 1, 5)
RATE_WPM = 150
SENTENCES: Sequence[tuple[str, str]] = (
    ("pt", "Boa tarde, eu queria saber quando chega a encomenda que fiz na semana passada."),
    ("ru", "Здравствуйте, я хотел бы узнать, почему мне до сих пор не вернули деньги."),
    ("hi", "नमस्ते, मेरा फ़ोन खो गया है और मैं अपना नंबर बंद करवाना चाहता हूँ।"),
    ("nl", "Goedemiddag, ik wil graag een afspraak maken voor volgende week."),
    ("es", "Perdone, no hablo inglés, ¿hay alguna persona que me pueda ayudar?"),
    ("hu", "Jó napot kívánok, a számlámmal kapcsolatban szeretnék érdeklődni."),
    ("de", "Entschuldigung, ich habe Sie nicht verstanden, sprechen Sie Deutsch?"),
    ("el", "Καλησπέρα σας, θα ήθελα να ακυρώσω την παραγγελία μου."),
    ("fr", "Allô, vous m'entendez? Je vous appelle au sujet de ma facture de gaz."),
    ("id", "Selamat siang, saya mau menanyakan tagihan listrik bulan ini."),
    ("ro", "Bună ziua, aș dori să vorbesc cu cineva despre contractul meu."),
    ("pt", "Não, não é isso, eu já expliquei tudo ao seu colega ontem."),
    ("ru", "Подождите минуту, я сейчас найду очки и продиктую вам номер договора."),
    ("hi", "जी हाँ, मैं थोड़ी देर में दोबारा फ़ोन करूँगा।"),
    ("nl", "Ja hoor, dat klopt helemaal, maar het pakje is nog steeds niet bezorgd."),
    ("es", "Sí, claro, el vuelo sale a las ocho de la mañana y quiero cambiar el asiento."),
)


def _asked(slot: SlotSpec) -> Expectation:
    return Expectation(state="evaluation", slots=(slot,), focus=slot.name)


_MENU = tuple(
    Choice(value, (phrase,))
    for value, phrase in (
        ("sales", "sales"),
        ("support", "[technical] support"),
        ("balance", "[my] (balance|account balance)"),
        ("hours", "opening hours"),
    )
)
ASKED: Mapping[str, Expectation | None] = {
    "nothing": None,
    "yes_no": _asked(SlotSpec(CONFIRM_SLOT, SlotType.YES_NO)),
    "letters": _asked(SlotSpec("name", SlotType.LETTERS)),
    "digits": _asked(SlotSpec("number", SlotType.DIGITS)),
    "menu": _asked(SlotSpec("topic", SlotType.CHOICE, _MENU)),
}
"""What the dialogue waits for."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """What was made of the sentences, by what was asked; `minutes` of all of them."""

    minutes: float
    heard: Mapping[str, Sequence[Hypothesis]]

    def as_dict(self) -> dict[str, Any]:
        """By what was asked: utterances; the shares of them with any text, with a confidence of
        SURE or more, and with a value that sure; words that sure a minute; the worst text."""
        return {name: self._figures(name, heard) for name, heard in self.heard.items()}

    def _figures(self, name: str, heard: Sequence[Hypothesis]) -> dict[str, Any]:
        count = len(heard)
        worst = max(heard, key=lambda one: one.confidence)
        sure = [one for one in heard if one.confidence >= SURE]
        words = sum(word.confidence >= SURE for one in heard for word in one.words)
        return {
            "utterances": count,
            "texts": round(sum(bool(one.text) for one in heard) / count, 4),
            "sure": round(len(sure) / count, 4),
            "filled": round(sum(_is_filled(one, ASKED[name]) for one in heard) / count, 4),
            "sure_words_per_minute": round(words / self.minutes, 2),
            "worst": [worst.text, round(worst.confidence, 3)],
        }


def _is_filled(heard: Hypothesis, asked: Expectation | None) -> bool:
    if asked is None:
        return False
    values = interpret(heard, asked, today=TODAY).slots
    return any(value.confidence >= SURE for value in values)


def measure(recogniser: Recogniser, *, quick: bool = False) -> Foreign | None:
    """All sentences under each expectation; None where espeak has none of the voices."""
    audio = list(filter(len, map(_spoken, SENTENCES[: QUICK if quick else None])))
    if not audio:
        return None
    ear = Ear(recogniser)
    heard = {name: ear.hear(audio, asked) for name, asked in ASKED.items()}
    return Foreign(sum(map(len, audio)) / RECOGNISER_HZ / 60, heard)


def _spoken(sentence: tuple[str, str]) -> Signal:
    language, text = sentence
    try:
        rendering = EspeakVoice(language, RATE_WPM).render(text)
    except ModelUnavailable:
        return np.zeros(0, np.float32)
    return over_telephone(
        resample(to_float(rendering.samples), rendering.rate_hz, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ
    )
