"""What an Expectation makes of texts, and what it may not do to them."""

from dataclasses import replace

import numpy as np
import pytest

from voicebot.asr import written
from voicebot.asr.automaton import FORBIDDEN, Automaton
from voicebot.asr.biasing import MAX_KEPT, Biasing, Weights
from voicebot.asr.lexicon import Entry, Lexicon, Tokens
from voicebot.asr.moonshine import END
from voicebot.events import MAX_WEIGHT, Choice, Expectation, IntentSpec, SlotSpec, SlotType

pytestmark = pytest.mark.unit

SPACE = "▁"
WORDS = [
    "four",
    "Four",
    "for",
    "two",
    "oh",
    "zero",
    "double",
    "twenty",
    "small",
    "la",
    "tte",
    "lat",
    "te",
    "s",
    "please",
    "I",
    "'",
    "d",
    "like",
    "hello",
    "there",
    "b",
    "B",
    "bee",
    "as",
    "in",
    "boy",
    "yes",
    "no",
    "operator",
    "B.",
    "4",
]
TOKENS = [
    *(b"<unk>", b"<s>", b"</s>", b"<<ST_1>>", b"\xff"),
    *(f"{SPACE}{word}".encode() for word in WORDS),
    *(word.encode() for word in WORDS),
    *(str(figure).encode() for figure in range(10)),
    *(b".", b",", b"-", b"$", SPACE.encode()),
]
WEIGHTS = Weights(word=2.0, unit=1.0, name=0.5, outside=1.0, outside_grammar=3.0)


def slot(kind: SlotType, **more: object) -> Expectation:
    return Expectation(focus="it", slots=(SlotSpec("it", kind, **more),))  # type: ignore[arg-type]


def menu(*phrases: str) -> Expectation:
    return slot(SlotType.CHOICE, choices=tuple(Choice(p, (p,)) for p in phrases))


def automaton(expectation: Expectation) -> Automaton:
    found = Biasing(TOKENS, WEIGHTS).automaton(expectation)
    assert found is not None
    return found


def bonus(expectation: Expectation, text: str) -> float:
    return automaton(expectation).read(written.plain(text))


def walked(found: Automaton, *tokens: str) -> float:
    """Bonus of tokens as the vocabulary has them, the end included."""
    state, total = 0, 0.0
    for token in tokens:
        state, gain = found.advance(state, TOKENS.index(token.encode()))
        total += gain
    return total + found.ending(state)


@pytest.mark.parametrize(
    "text", ["four two oh two", "4202", "Four, two, zero, two.", "42 oh two", "It's 4-2-0-2."]
)
def test_a_digit_string_is_read_however_it_is_written(text: str) -> None:
    assert bonus(slot(SlotType.DIGITS, min_length=4, max_length=4), text) == pytest.approx(4.0)


@pytest.mark.parametrize("text", ["double four twenty-two", "forty four twenty two", "44 22"])
def test_digits_are_grouped_as_people_group_them(text: str) -> None:
    assert bonus(slot(SlotType.DIGITS, min_length=4, max_length=4), text) == pytest.approx(4.0)


@pytest.mark.parametrize("text", ["four two oh", "4 2 0 2 1", "four two elephants two oh"])
def test_a_string_of_another_length_is_outside(text: str) -> None:
    expected = slot(SlotType.DIGITS, min_length=4, max_length=4)
    assert bonus(expected, text) < bonus(expected, "four two oh two") - 0.9


@pytest.mark.parametrize("kind", [SlotType.YES_NO, SlotType.DIGITS, SlotType.AMOUNT])
def test_an_answer_is_not_made_of_fillers_for_ever(kind: SlotType) -> None:
    found = automaton(slot(kind))
    filler = TOKENS.index(f"{SPACE}please".encode())
    answer = TOKENS.index(f"{SPACE}{'yes' if kind is SlotType.YES_NO else 'four'}".encode())
    assert found.answering([filler, filler, answer, filler]) is not None
    assert found.answering([*[filler] * 20, answer]) is None


@pytest.mark.parametrize(
    ("kind", "most", "phrase", "times", "may"),
    [
        (SlotType.DIGITS, 4, "four", 4, True),
        (SlotType.DIGITS, 4, "four", 5, False),
        (SlotType.DIGITS, None, "four two", 4, True),
        (SlotType.DIGITS, None, "four", 30, False),
        (SlotType.DIGITS, 16, "please", 4, False),
        (SlotType.LETTERS, 16, "B", 5, True),
        (SlotType.LETTERS, None, "B", 4, True),
        (SlotType.LETTERS, None, "B", 8, False),
        (SlotType.LETTERS, None, "I ' d like", 4, False),
        (SlotType.YES_NO, None, "yes", 4, False),
        (SlotType.AMOUNT, None, "four", 4, False),
        (SlotType.CHOICE, None, "please", 4, False),
    ],
)
def test_only_what_counts_may_be_said_over_and_over(
    kind: SlotType, most: int | None, phrase: str, times: int, may: bool
) -> None:
    choices = (Choice("please", ("please",)),) if kind is SlotType.CHOICE else ()
    found = automaton(slot(kind, max_length=most, choices=choices))
    words = [word if word in "'d" else f"{SPACE}{word}" for word in phrase.split()]
    tokens = [TOKENS.index(word.encode()) for word in words]
    assert found.may_repeat(tokens * times, 0, times) is may
    there = TOKENS.index(f"{SPACE}there".encode())
    assert not found.may_repeat([there, *tokens * times], 1, times), "outside of the grammar"


def test_it_is_known_whether_a_sentence_is_just_what_is_waited_for() -> None:
    found = automaton(slot(SlotType.DIGITS, min_length=2, max_length=2))

    def answering(*texts: str) -> float | None:
        return found.answering([TOKENS.index(text.encode()) for text in texts])

    assert answering(f"{SPACE}4", "4") == pytest.approx(found.read("44"))
    assert answering("4", "4", ".") is not None
    assert answering("4") is None, "too short"
    assert answering(f"{SPACE}hello", "4", "4") is None, "not that alone"
    menus = automaton(menu("operator"))
    assert menus.answering([TOKENS.index(f"{SPACE}operator".encode())]) is not None
    assert menus.answering([TOKENS.index(f"{SPACE}there".encode())]) is None


def test_other_speech_pays_once_however_long_it_is() -> None:
    digits = slot(SlotType.DIGITS, min_length=4, max_length=4)
    assert bonus(digits, "hello") == pytest.approx(-3.0)
    assert bonus(digits, "hello there, I would like to speak to a person") == pytest.approx(-3.0)


def test_what_a_phrase_was_promised_is_taken_back_where_it_is_not_finished() -> None:
    expected = menu("small latte")
    assert bonus(expected, "a small latte there") == pytest.approx(4.0 - 1.0)
    for text in ("a small lattes there", "a small hello there", "a small"):
        assert bonus(expected, text) == pytest.approx(-1.0), text


def test_all_tokenisations_of_a_phrase_count_alike() -> None:
    found = automaton(menu("small latte"))
    for tokens in (
        (f"{SPACE}small", f"{SPACE}lat", "te"),
        (f"{SPACE}small", f"{SPACE}la", "tte"),
        ("small", SPACE, "la", "tte", "."),
        (f"{SPACE}small", ",", f"{SPACE}la", "tte", "."),
    ):
        assert walked(found, *tokens) == pytest.approx(4.0), tokens


def test_a_row_gives_what_walking_the_token_gives() -> None:
    found = automaton(slot(SlotType.DIGITS, min_length=2, max_length=4))
    for begin in ((), (f"{SPACE}four",), (f"{SPACE}hello",), ("4",), (f"{SPACE}double",)):
        state = 0
        for token in begin:
            state, _ = found.advance(state, TOKENS.index(token.encode()))
        row = found.row(state)
        gains = row.kinds[found.tokens.kind]
        gains[row.ids] += row.extras
        for token in range(3, len(TOKENS)):
            assert gains[token] == pytest.approx(found.advance(state, token)[1], abs=1e-4)
        assert gains[END] == pytest.approx(found.ending(state), abs=1e-4)


def test_places_in_a_long_number_share_what_they_gain() -> None:
    found = automaton(slot(SlotType.DIGITS, min_length=10, max_length=16))
    four, state, counts = TOKENS.index(f"{SPACE}four".encode()), 0, []
    for _ in range(17):
        state, _ = found.advance(state, four)
        row = found.row(state)
        gains = row.kinds[found.tokens.kind]
        gains[row.ids] += row.extras
        for token in (four, TOKENS.index(f"{SPACE}double".encode()), TOKENS.index(b"4"), END):
            assert gains[token] == pytest.approx(found.advance(state, token)[1], abs=1e-4)
        counts.append(len(found._known_gains))
    assert counts[2] == counts[6] < counts[-1]


def test_rows_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.asr.automaton.MAX_GAINS", 3)
    found = automaton(menu("small latte"))
    before = found.row(0)
    found.trim()
    after = found.row(0)
    assert after is not before
    assert after.extras.tolist() == before.extras.tolist()


def test_letters_are_spelled_in_many_ways() -> None:
    spelling = slot(SlotType.LETTERS, min_length=2, max_length=2)
    for text in ("B D", "b as in boy, d", "bravo delta", "B. D.", "double B"):
        assert bonus(spelling, text) >= 2.0, text
    assert 0 < bonus(spelling, "bee D") < bonus(spelling, "B D")
    assert bonus(spelling, "hello there") == pytest.approx(-3.0)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (SlotType.NUMBER, ["twenty two", "a hundred and 4", "three thousand"]),
        (SlotType.AMOUNT, ["$12.50", "twelve dollars and fifty cents", "five hundred bucks"]),
        (SlotType.DATE, ["the 3rd of May", "tomorrow", "May 21st 1984", "next Friday"]),
        (SlotType.TIME, ["half past two", "3:30 p.m.", "noon", "ten o'clock"]),
        (SlotType.YES_NO, ["yes", "no", "uh-huh", "that's right", "Not really."]),
    ],
)
def test_other_slots_are_read_to_the_end(kind: SlotType, texts: list[str]) -> None:
    for text in texts:
        assert bonus(slot(kind), text) > 0, text
    assert bonus(slot(kind), "hello there") < 0


def test_intents_and_hints_count_and_slots_are_spoken_for_by_their_values() -> None:
    expected = Expectation(
        focus="size",
        slots=(SlotSpec("size", SlotType.CHOICE, (Choice("small", ("(small|8 ounce)",)),)),),
        intents=(IntentSpec("order", ("(I'd like|get me) [a] {size} latte",)),),
        universals=(IntentSpec("operator", ("operator",)),),
        hints=("iced",),
    )
    for text, words in (
        ("I'd like small latte", 4),
        ("eight ounce", 2),
        ("8 ounce", 2),
        ("operator", 1),
        ("iced", 1),
    ):
        assert bonus(expected, text) == pytest.approx(2.0 * words), text


def test_what_says_nothing_about_words_leaves_the_search_alone() -> None:
    made = Biasing(TOKENS)
    assert made.automaton(None) is None
    assert made.automaton(Expectation()) is None
    assert made.automaton(slot(SlotType.TEXT)) is None
    assert made.automaton(slot(SlotType.CHOICE)) is None
    assert made.automaton(menu("", "...", "[")) is None


def test_contradictory_lengths_count_as_none() -> None:
    expected = slot(SlotType.DIGITS, min_length=5, max_length=2)
    assert bonus(expected, "four two oh") == pytest.approx(3.0)


def test_nothing_said_costs_nothing() -> None:
    for expected in (slot(SlotType.DIGITS, min_length=4), menu("small latte")):
        assert automaton(expected).read("") == 0.0


def test_compiled_once_per_expectation_and_not_kept_for_ever() -> None:
    made = Biasing(TOKENS)
    first = made.automaton(menu("small latte"))
    assert made.automaton(menu("small latte")) is first
    for number in range(MAX_KEPT):
        made.automaton(menu(f"latte {number}"))
    assert made.automaton(menu("small latte")) is not first


def test_lists_instead_of_tuples_are_taken() -> None:
    expected = slot(SlotType.CHOICE, choices=[Choice("small", ["small"])])
    assert bonus(expected, "small") == pytest.approx(2.0)


def test_twenty_thousand_phrases() -> None:
    rng = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    names = ["".join(rng.choice(letters, 8)) for _ in range(20_000)]
    found = automaton(menu(*names))
    assert len(found.loops[0].lexicon) == 20_000
    assert found.read(names[777]) == pytest.approx(2.0)
    assert found.row(0).ids.size > 1


def test_states_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.asr.automaton.MAX_STATES", 3)
    found = automaton(menu("small latte"))
    assert found.read("small_latte") == pytest.approx(4.0)
    found.trim()
    assert len(found._states) == 1
    assert found.read("small_latte") == pytest.approx(4.0)


def test_a_lexicon_reads_as_a_trie() -> None:
    lexicon = Lexicon([Entry("some_milk", 2.0), Entry("some", 1.0), Entry("so", 0.5, 3)])
    node = lexicon.root
    for character in "some":
        following = lexicon.child(node, character)
        assert following is not None
        node = following
    assert lexicon.ends(node) == [(0, 1.0)]
    assert lexicon.partial(node) == pytest.approx(1.0)
    assert lexicon.child(node, "x") is None
    assert Lexicon([]).child(Lexicon([]).root, "a") is None


def test_control_tokens_say_nothing() -> None:
    assert Tokens(TOKENS, END).kind[:5].tolist() == [0, 0, 0, 0, 0]
    assert FORBIDDEN < -20


def test_what_an_expectation_may_cost_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.asr.biasing.MAX_PHRASES", 3)
    hints = ("hello", "there", "operator", "small")
    assert bonus(Expectation(hints=hints), "operator") > bonus(Expectation(hints=hints), "small")
    endless = Expectation(hints=("(four|two)" * 8 + " please" * 1000,))
    assert Biasing(TOKENS, WEIGHTS).automaton(endless) is None


def test_people_are_called_by_their_parts() -> None:
    people = (Choice("John Smith"), Choice("Mary Smith"), Choice("Dr. Wei Chen"))
    expected = slot(SlotType.CHOICE, choices=people)
    for text, words in (
        ("John Smith", 2),
        ("Smith John", 2),
        ("John", 1),
        ("Mr. John Smith please", 2),
        ("Doctor Chen", 1),
        ("Professor Wei Chen", 2),
    ):
        assert bonus(expected, text) == pytest.approx(2.0 * words), text
    assert bonus(expected, "Mrs. Smith") <= 0, "two of them are called so"
    assert bonus(slot(SlotType.CHOICE, choices=(Choice("savings account"),)), "savings") <= 0


def test_phrases_may_be_likelier_than_others() -> None:
    choices = (Choice("small", ("small",)), Choice("tall", ("tall",)))
    expected = Expectation(
        focus="it",
        slots=(SlotSpec("it", SlotType.CHOICE, choices),),
        hints=("operator", "agent"),
        weights=(("small", 2.0), ("tall", 0.0), ("agent", 0.5), ("operator", 1e9)),
    )
    for text, word in (("small", 4.0), ("agent", 1.0), ("operator", 2.0 * MAX_WEIGHT)):
        assert bonus(expected, text) == pytest.approx(word), text
    assert bonus(expected, "tall") == pytest.approx(0.0)
    made = Biasing(TOKENS, WEIGHTS)
    assert made.automaton(expected) is not made.automaton(replace(expected, weights=()))
