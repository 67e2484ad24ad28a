"""Speech of which no English word was said: other languages, and callers played backwards.

An open recogniser makes words of it and a grammar makes answers of it, one as invented as the
other. The sentences are none of those that `voicebot eval asr` speaks, nor are most languages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

import numpy as np

from voicebot.audio.resample import resample
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.learning import asr_corpora, asr_speech
from voicebot.learning.asr_channel import Signal, Telephone
from voicebot.learning.asr_corpora import RATE_HZ, Item

VARIANTS = ("", "+f2", "+m3", "+f4", "+m7", "+klatt2")
LONGEST_S = 9.0
SENTENCES: Mapping[str, Sequence[str]] = {
    "de": (
        "Guten Tag, ich möchte meinen Kontostand wissen und etwas überweisen.",
        "Nein danke, das habe ich schon gestern mit Ihrem Kollegen besprochen.",
        "Können Sie mich bitte mit der Kundenbetreuung verbinden?",
        "Die Nummer habe ich gerade nicht dabei, die liegt zu Hause.",
        "Ja, einen Moment bitte.",
    ),
    "fr": (
        "Bonjour, je voudrais parler à quelqu'un du service clientèle, s'il vous plaît.",
        "Je n'ai pas reçu le colis que j'ai commandé la semaine dernière.",
        "Attendez, je cherche mes lunettes et le papier avec le numéro.",
        "Est-ce que vous pouvez répéter plus lentement?",
        "D'accord, merci beaucoup.",
    ),
    "es": (
        "Buenos días, necesito cambiar la fecha de mi cita para el jueves.",
        "Quiero saber cuánto dinero me queda y cuándo llega la tarjeta nueva.",
        "Espere un momento, que estoy buscando el número del pedido.",
        "Póngame con alguien que hable español, por favor.",
        "Mi hija tiene fiebre desde ayer y no sé qué hacer.",
    ),
    "it": (
        "Buongiorno, vorrei un caffè macchiato e un cornetto, grazie.",
        "Ho perso la carta di credito stamattina e vorrei bloccarla subito.",
        "Mi scusi, non ho capito la domanda, può parlare più piano?",
        "Il mio cognome è Bianchi, come il colore.",
        "Va bene, aspetto in linea.",
    ),
    "pl": (
        "Dzień dobry, chciałbym zapytać o moje zamówienie.",
        "Proszę mnie połączyć z kimś, kto mówi po polsku.",
        "Nie mam teraz przy sobie tego numeru, zadzwonię później.",
    ),
    "tr": (
        "Merhaba, siparişimi iptal etmek istiyorum.",
        "Dün akşam para gönderdim ama hesaba hâlâ geçmemiş.",
        "Bir dakika bekler misiniz, numarayı arıyorum.",
    ),
    "sv": (
        "Hej, jag skulle vilja boka ett bord för fyra personer.",
        "Jag har tappat bort mitt kort och behöver spärra det genast.",
        "Kan du upprepa frågan, jag hörde inte riktigt.",
    ),
    "cmn": (
        "你好,我想查询我的账户余额。",
        "请问你们几点开门,我想预约明天下午。",
        "我听不懂英语,有没有人会说中文?",
    ),
    "cs": (
        "Dobrý den, potřeboval bych změnit termín návštěvy u lékaře.",
        "Prosím vás, kdy mi konečně přijde ta zásilka?",
    ),
    "fi": (
        "Hyvää päivää, haluaisin tietää, milloin tilaukseni saapuu.",
        "Anteeksi, en ymmärrä, mitä te sanotte.",
    ),
}


def spoken(count: int, telephone: Telephone) -> Iterator[Signal]:
    """At 16 kHz, over rough telephones; a language that espeak has no voice for is passed over."""
    texts = [(name, text) for name, of_it in SENTENCES.items() for text in of_it]
    texts.sort(key=lambda one: crc32(one[1].encode()))
    for number in range(count):
        rng = np.random.default_rng((8, number))
        language, text = texts[number % len(texts)]
        voice = language + VARIANTS[int(rng.integers(0, len(VARIANTS)))]
        if asr_speech.is_there(voice):
            yield carried(asr_speech.speak(text, voice, rng), telephone, rng)


def backwards(items: Sequence[Item], count: int, telephone: Telephone) -> Iterator[Signal]:
    """Sentences of recordings played backwards, at 16 kHz; the first `count` by their names."""
    chosen = [item for item in items if item.is_clear and item.text and " " in item.text]
    for number, item in enumerate(sorted(chosen, key=lambda one: crc32(one.key.encode()))[:count]):
        rng = np.random.default_rng((10, number))
        samples = asr_corpora.read(item)[: int(LONGEST_S * RATE_HZ)][::-1].copy()
        was_telephone = item.corpus == "phone_calls"
        yield carried(samples, telephone, rng, was_telephone=was_telephone)


def carried(
    samples: Signal, telephone: Telephone, rng: np.random.Generator, *, was_telephone: bool = False
) -> Signal:
    """16 kHz over a rough telephone and back."""
    narrow = resample(samples, RATE_HZ, SAMPLE_RATE_HZ)
    return resample(
        telephone.carry(narrow, rng, was_telephone=was_telephone), SAMPLE_RATE_HZ, RATE_HZ
    )
