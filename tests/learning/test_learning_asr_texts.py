"""Tokens, transcripts, phrases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.asr.vocabulary import SPACE, Vocabulary
from voicebot.learning import asr_phrases, asr_splits
from voicebot.learning.asr_tokens import Encoder
from voicebot.learning.asr_transcripts import edits, finished, mended, spoken_text, styled, words_of

pytestmark = pytest.mark.unit

BYTES = [b"<unk>", b"<s>", b"</s>", *(bytes([byte]) for byte in range(256))]
MERGES = [SPACE + b"t", b"he", SPACE + b"the", b"er", b"re", b"t", b"h", b"e", SPACE, b"r"]
TOKENS = [*BYTES, *MERGES]


def spelled(text: str) -> list[bytes]:
    return [TOKENS[number] for number in Encoder(TOKENS).encode(text)]


def test_lowest_merge_goes_first() -> None:
    # "there": " t" joins first, then "he", then " the"; "re" stays, since "er" would come before
    # it but its "e" is taken.
    assert spelled("there") == [SPACE + b"the", b"re"]
    assert spelled("her") == [SPACE, b"he", b"r"]


def test_what_has_no_token_is_spelled_in_bytes() -> None:
    assert spelled("tx") == [SPACE + b"t", b"x"]
    assert spelled("é") == [SPACE, "é".encode()[:1], "é".encode()[1:]]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_printable_words_come_back(word: str) -> None:
    numbers = Encoder(TOKENS).encode(word)
    raw = b"".join(TOKENS[number] for number in numbers)
    assert raw.decode() == "\u2581" + word


@given(st.lists(st.text("abcdefgher't", min_size=1), min_size=1))
def test_sentences_come_back_as_text(words: list[str]) -> None:
    words = [word for word in words if any(map(str.isalnum, word))]
    numbers = Encoder(TOKENS).encode("  ".join(words))
    assert Vocabulary(TOKENS).text(numbers) == " ".join(words)


def test_nothing_gives_no_tokens() -> None:
    assert Encoder(TOKENS).encode(" ") == []


@pytest.mark.parametrize(
    ("transcription", "plain", "text", "is_styled", "is_clear"),
    [
        ("[static\\] Wildfire [\\static]", "wildfire", "Wildfire", False, True),
        (
            "Hi. How are *ya? {breath} Call ^John. Voyager",
            "hi how are ya call john voyager",
            "Hi. How are ya? Call John. Voyager.",
            True,
            True,
        ),
        ("{smack} I +gonna use _Onword", "i gonna use onword", "I gonna use Onword", False, True),
        ("i could ((use)) it", "i could use it", "i could use it", False, False),
        ("the ph- call", "the ph call", "the ph- call", False, False),
        ("[beep/] theoperator [x]", "the operator", "the operator", False, True),
        ("I\ufffdm here", "i'm here", "I'm here", False, True),
    ],
)
def test_transcribers_marks_leave(
    transcription: str, plain: str, text: str, is_styled: bool, is_clear: bool
) -> None:
    assert spoken_text(transcription, plain) == (text, is_styled, is_clear)


def test_case_and_punctuation_come_from_what_was_heard() -> None:
    text = "hi i like the ThinkEngine wildfire how are you"
    heard = "Hi, I like a thin Engine, Wildfire. How are you?"
    assert styled(text, heard) == "Hi, I like the ThinkEngine Wildfire. How are you?"


def test_capital_of_a_heard_beginning_does_not_move_inside() -> None:
    assert styled("in a galaxy far far away", "A galaxy far, far away.") == (
        "In a galaxy far, far away."
    )


def test_marks_before_misheard_words_are_left() -> None:
    assert styled("good morning hope you slept", "Good morning, hope, pure, slept.") == (
        "Good morning, hope you slept."
    )


def test_styled_words_are_the_transcribers_whatever_was_heard() -> None:
    assert words_of(styled("one two seven", "For tulips, Kevin")) == ["one", "two", "seven"]
    assert styled("yes", "") == "Yes."


def test_slots_mend_what_was_misheard() -> None:
    heard = ["Make me a Lightrose 8-ounce ice Mocha gale with skin milk."]
    slots = ["light roast", "eight ounce", "iced mocha", "skim milk"]
    assert mended(heard, slots) == "Make me a light roast eight ounce iced mocha with skim milk."


def test_openings_mend_the_beginning() -> None:
    openings = ["brew a", "can I have a"]
    assert mended(["Brewer coffee."], ["coffee"], openings) == "Brew a coffee."
    assert mended(["Something else a latte?"], ["latte"], openings) == "Something else a latte?"


def test_order_without_its_slots_has_no_target() -> None:
    assert mended(["I would like some tea."], ["cappuccino"]) is None
    assert mended([], ["cappuccino"]) is None


def test_nearest_hypothesis_is_taken() -> None:
    assert mended(["a mocker with sue", "a mocha with soy milk"], ["mocha", "soy milk"]) == (
        "A mocha with soy milk."
    )


def test_words_are_counted_without_case_marks_and_figures() -> None:
    assert words_of("It's 8-ounce, isn't it?") == ["it's", "eight", "ounce", "isn't", "it"]
    assert edits(words_of("a b c"), words_of("b c d")) == 2


def test_finished() -> None:
    assert finished("i think i can, ") == "I think I can."
    assert finished("") == ""
    assert finished("is it?") == "Is it?"


@pytest.mark.parametrize("kind", asr_phrases.KINDS)
def test_phrases_are_drawn_from_the_generator_and_written_properly(kind: str) -> None:
    texts = asr_phrases.Texts(vocabulary=["tea", "house"])
    draw = asr_phrases.KINDS[kind]
    one = [draw(np.random.default_rng(seed), texts) for seed in range(60)]
    assert one == [draw(np.random.default_rng(seed), texts) for seed in range(60)]
    assert len({phrase.written for phrase in one}) > 10
    for phrase in one:
        assert phrase.written[0].isupper()
        assert phrase.written[-1] in ".?!"
        assert "@" not in phrase.written
        assert not any(map(str.isdigit, phrase.written))


def test_held_out_sentences_are_no_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("texts")
    rows = [f"{word} is where my card is" for word in "abcdefghijklmnopqrstuvwxyz"]
    (folder / "banking77_train.csv").write_text(
        "text,category\n" + "".join(f"{row},c\n" for row in rows)
    )
    kept = set(asr_phrases.collect(folder, TOKENS).requests)
    unseen = set(asr_phrases.collect(folder, TOKENS, held_out=True).requests)
    assert kept
    assert unseen
    assert not kept & unseen
    assert len(kept | unseen) == 26


def test_splits_name_whom_training_may_not_see() -> None:
    splits = asr_splits.load()
    assert splits.is_held_out("digits", "george")
    assert splits.is_held_out("alphanumeric", "petewarden")
    assert not splits.is_held_out("digits", "jackson")
    sessions = splits.held_out["phone_calls"]
    assert len(sessions) == 42
    assert asr_splits.every_fifth(sessions) == sorted(sessions)
