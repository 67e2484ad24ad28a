"""`voicebot eval asr`: how well telephone speech is recognised, how fast, how sure.

Recordings laid out like shared/audio (see asr_corpus; any folder may be missing), all through
8 kHz mu-law. Words are compared as asr_score says: without case, punctuation and fillers, figures
as words. Every recording is heard without help and, where a dialogue would know what it asked for
(a digit, a letter, one of the keywords), again with that expectation; then what counts is the
value that the dialogue gets. How soon words are known is asr_latency's matter, invented words
asr_silence's. What the weights were trained on is marked; `--held-out` leaves it out. Confidence is
fitted to recordings held out from the weights (learning.asr_confidence): Brier scores of those
flatter it a little, the model card has those of each half by models fitted to the other.

Keys of --json (rates are shares of 1, times ms; null where nothing was measured):

    sets                {name: figures} of phone_sentences, phone_keywords, phone_names, digits,
                        spoken_digits, letters, read_sentences, barista; figures are
      recordings, groups, words       how many; groups are sessions or speakers
      known                           recordings that training saw
      wer, wer_ci95                   word error rate; [low, high], bootstrap by group
      wer_unseen, wer_known           the same without, and of, what training saw
      accuracy, accuracy_ci95         share of recordings without any error
      grammar_accuracy                share understood when the expectation is known
      grammar_text_accuracy           share whose text alone is right then
      tidy                            share of texts with a capital first and a mark last
      brier_words, brier_utterances   of the confidence without help
      grammar_brier                   of the confidence with the expectation
      by                              {trait: {value: {recordings, words, wer, accuracy}}}
      of barista, whose words are not known, `wer` is the share of slot words that are missing
    left_out            set -> unclear, broken off or no readable audio, not measured
    brier_words, brier_utterances     over all sets; an utterance's by sets, not by recordings
    reliability         {words, utterances}: [[mean confidence, share right, count], ...]
    rtf                 CPU seconds per second of audio, one pass with a beam, one thread
    decode_cpu_ms_per_s the same in ms
    cpu_ms_per_s        CPU of recognition per second of caller speech in calls: partials, finals
    latency             {calls, talking, utterances, cut, missed, partial_p50_ms, partial_p95_ms,
                        final_p50_ms, final_p95_ms, turn_p50_ms, turn_p95_ms}: first words after
                        the onset; after the end of speech the words known that become the final
                        (asr_latency.Timing: they may come as a partial), and the turn handed over
                        with them; of the utterances neither cut off nor missed (no turn before the
                        next one)
    hallucinated_words_per_minute     over all sounds in which nobody speaks
    hallucinated        kind of sound -> words per minute; hallucinated_texts: what was invented
    another_language    callers who speak another language (asr_foreign), by what was asked
                        ("nothing", yes_no, letters, digits, menu): {utterances, texts, sure,
                        filled: shares with any text, with a confidence of 0.5, with a value that
                        sure; sure_words_per_minute; worst: [text, confidence]}; null without espeak
    held_out_only       whether recordings that training saw were left out
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.audio.files import read_audio
from voicebot.errors import AudioFileError
from voicebot.evaluation import asr_foreign, asr_latency, asr_silence
from voicebot.evaluation.asr_corpus import SHORT, Item, Recordings, load
from voicebot.evaluation.asr_hearing import Ear, on_stderr, over_telephone
from voicebot.evaluation.asr_result import AsrResult, Heard
from voicebot.evaluation.asr_score import compare, is_same, normalised
from voicebot.evaluation.parts import make_runner
from voicebot.events import (
    SAMPLE_RATE_HZ,
    Choice,
    Expectation,
    Hypothesis,
    SlotSpec,
    SlotType,
)
from voicebot.nlu.interpreter import interpret

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser
    from voicebot.engine.runner import Runner
    from voicebot.evaluation.asr_hearing import Signal

QUICK = 30
"""Recordings of each set."""
AT_ONCE = 160
"""Recordings in memory."""
TODAY = date(2026, 1, 5)
KEYWORD_SHARE = 0.03
"""What fewer callers than this said as keyword is a slip, not one of the keywords."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a dialogue would expect in a set, and the value that each text stands for."""

    expectation: Expectation
    values: dict[str, str]


def run(
    directory: Path,
    *,
    recogniser: Recogniser,
    held_out: bool = False,
    quick: bool = False,
    tell: Tell = lambda _: None,
    warn: Tell = on_stderr,
    make: Callable[[int, Recogniser], Runner] = make_runner,
) -> AsrResult:
    """Everything, a quarter of an hour of CPU on shared/audio; `quick`: a part, about a minute.

    `warn` is given a line for every file that cannot be read; it is left out.
    """
    recordings = load(directory, held_out=held_out, limit=QUICK if quick else None)
    for problem in recordings.problems:
        warn(f"{problem}; left out")
    ear, guided = Ear(recogniser), Ear(recogniser)
    asked = _asked(recordings)
    heard: list[Heard] = []
    for name in dict.fromkeys(item.set_name for item in recordings.items):
        items = recordings.of(name)
        for begin in range(0, len(items), AT_ONCE):
            tell(f"{name}: {begin} of {len(items)}")
            some = [_read(item) for item in items[begin : begin + AT_ONCE]]
            for problem in (one for one in some if isinstance(one, str)):
                warn(f"{problem}; left out")
                recordings.left_out[name] = recordings.left_out.get(name, 0) + 1
            whole = [one for one in some if not isinstance(one, str)]
            heard += _heard(whole, ear, guided, asked.get(name))
    tell("sounds in which nobody speaks")
    invented = _invented(directory, recogniser, quick=quick)
    tell("another language")
    foreign = asr_foreign.measure(recogniser, quick=quick)
    load_of_calls = asr_latency.measure(
        lambda slots: make(slots, recogniser),
        _talk([one.item for one in heard]),
        quick=quick,
        tell=tell,
    )
    return AsrResult(
        heard,
        recordings.left_out,
        ear.audio_s,
        ear.cpu_s,
        load_of_calls,
        invented,
        held_out,
        foreign,
    )


def _heard(
    recorded: Sequence[tuple[Item, Signal]], ear: Ear, guided: Ear, asked: _Asked | None
) -> list[Heard]:
    items, audio = [item for item, _ in recorded], [samples for _, samples in recorded]
    free = ear.hear(audio)
    if asked is None:
        return [_scored(item, hypothesis) for item, hypothesis in zip(items, free, strict=True)]
    helped = guided.hear(audio, asked.expectation)
    return [_scored(*one, asked) for one in zip(items, free, helped, strict=True)]


def _scored(
    item: Item, free: Hypothesis, helped: Hypothesis | None = None, asked: _Asked | None = None
) -> Heard:
    if item.slot_words:
        words = Counter(normalised(free.text))
        wanted = Counter(item.slot_words)
        missing = sum((wanted - words).values())
        return Heard(item, free, missing, sum(wanted.values()), ())
    compared = compare(item.text, free.text)
    scored = Heard(item, free, compared.errors, compared.words, compared.is_right)
    wanted_value = asked.values.get(item.text) if asked is not None else None
    if helped is None or asked is None or wanted_value is None:
        return scored
    meaning = interpret(helped, asked.expectation, today=TODAY)
    got = [slot.value for slot in meaning.slots]
    scored.helped = helped
    scored.is_understood = got == [wanted_value] and not meaning.is_universal
    scored.is_helped_text_right = is_same(item.text, helped.text)
    return scored


def _asked(recordings: Recordings) -> dict[str, _Asked]:
    digit = _Asked(
        _one(SlotSpec("digit", SlotType.DIGITS, min_length=1, max_length=1)),
        {word: str(digit) for digit, word in enumerate(_DIGIT_WORDS)},
    )
    letter = _Asked(
        _one(SlotSpec("letter", SlotType.LETTERS, min_length=1, max_length=1)),
        {chr(97 + n): chr(65 + n) for n in range(26)},
    )
    found = {"digits": digit, "spoken_digits": digit, "letters": letter}
    said = Counter(item.text for item in recordings.of("phone_keywords"))
    keywords = [text for text, count in said.items() if count >= KEYWORD_SHARE * said.total()]
    if keywords:
        choices = tuple(Choice(word, (word,)) for word in sorted(keywords))
        slot = SlotSpec("keyword", SlotType.CHOICE, choices)
        found["phone_keywords"] = _Asked(_one(slot), {word: word for word in keywords})
    return found


_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _one(slot: SlotSpec) -> Expectation:
    return Expectation(state="evaluation", slots=(slot,), focus=slot.name)


def _talk(recordings: Sequence[Item]) -> list[Item]:
    """What callers say for the latency: sentences and keywords of telephone calls, or what else
    there is; unseen ones where there are enough."""
    sets = ("phone_sentences", "phone_keywords")
    preferred = [item for name in sets for item in recordings if item.set_name == name]
    items = preferred or [item for item in recordings if item.set_name not in SHORT]
    items = items or list(recordings)
    unseen = [item for item in items if not item.is_known]
    return unseen if len(unseen) >= 20 else items


def _invented(
    directory: Path, recogniser: Recogniser, *, quick: bool
) -> dict[str, tuple[float, list[str]]]:
    """Kind of sound -> (minutes, texts)."""
    ear, found = Ear(recogniser), {}
    for kind, pieces in asr_silence.sounds(directory, quick=quick).items():
        heard = ear.hear([over_telephone(piece, SAMPLE_RATE_HZ) for piece in pieces])
        minutes = sum(len(piece) for piece in pieces) / SAMPLE_RATE_HZ / 60
        found[kind] = (minutes, [hypothesis.text for hypothesis in heard if hypothesis.text])
    return found


def _read(item: Item) -> tuple[Item, Signal] | str:
    """The recording as the telephone carries it, or what is wrong with it."""
    try:
        return item, over_telephone(*read_audio(item.path))
    except AudioFileError as error:
        return str(error)
