"""The search with an automaton: what it mends, and what it must leave alone."""

import math

import pytest
import torch

from voicebot.asr.biasing import Biasing, Weights
from voicebot.asr.decoder import search
from voicebot.asr.moonshine import BEGIN, END, Encoded
from voicebot.events import Expectation, SlotSpec, SlotType

pytestmark = pytest.mark.unit

FOR, FOUR, HELLO, TWO = 3, 4, 5, 6
TOKENS = [b"<unk>", b"<s>", b"</s>"]
TOKENS += [f"\u2581{word}".encode() for word in ("for", "Four", "hello", "two", "a", "b", "c")]
ONE = Encoded(torch.zeros(1, 4, 8), (4,))
TWICE = Encoded(torch.zeros(2, 4, 8), (4, 4))
DIGITS = Expectation(focus="it", slots=(SlotSpec("it", SlotType.DIGITS, max_length=4),))


class Script:
    """A decoder whose next token depends on the last one only: {last: {next: probability}}."""

    def __init__(self, table: dict[int, dict[int, float]]) -> None:
        self.table = torch.full((10, 10), 1e-9)
        for last, nexts in table.items():
            for token, probability in nexts.items():
                self.table[last, token] = probability

    def start(self, encoded: Encoded, capacity: int, beams: int = 1) -> "Script":
        return self

    def reorder(self, rows: torch.Tensor) -> None:
        pass

    def keep(self, utterances: torch.Tensor) -> None:
        pass

    def __call__(self, tokens: torch.Tensor, state: object) -> torch.Tensor:
        return self.table[tokens].log()


CLOSE = {BEGIN: {FOR: 0.6, FOUR: 0.4}, FOR: {END: 1.0}, FOUR: {END: 1.0}}
CLEAR = {BEGIN: {HELLO: 0.9999, FOUR: 0.0001}, HELLO: {END: 1.0}, FOUR: {END: 1.0}}


def heard(table, encoded=ONE, expectations=(DIGITS,)):  # type: ignore[no-untyped-def]
    made = Biasing(TOKENS, Weights(word=1.5, unit=1.5, outside_grammar=3.0))
    automata = [made.automaton(expectation) for expectation in expectations]
    return search(Script(table), encoded, [9] * len(automata), 3, automata)  # type: ignore[arg-type]


def test_what_is_waited_for_wins_where_it_sounds_alike() -> None:
    [found] = heard(CLOSE)
    assert found[0].tokens == (FOUR,)
    assert found[0].bias == pytest.approx(1.5)
    assert found[0].log_probs == pytest.approx([math.log(0.4)], abs=1e-4)
    assert found[0].free_margin == pytest.approx(math.log(0.4 / 0.6), abs=1e-3)
    assert (FOR,) in {one.tokens for one in found}, "what would be heard freely is offered too"


def test_what_was_clearly_said_is_not_bent() -> None:
    [found] = heard(CLEAR)
    assert found[0].tokens == (HELLO,)
    assert found[0].free_margin == pytest.approx(0.0)


def test_nothing_is_invented_where_nothing_is_heard() -> None:
    [found] = heard({BEGIN: {END: 0.6, FOUR: 0.4}, FOUR: {END: 1.0}})
    assert [one.tokens for one in found] == [()]


def test_callers_of_one_batch_wait_for_different_things() -> None:
    first, second = heard(CLOSE, TWICE, (None, DIGITS))
    assert (first[0].tokens, second[0].tokens) == ((FOR,), (FOUR,))
    assert first[0].free_margin is None
    assert first[0].bias == 0.0


def test_a_digit_said_again_and_again_is_no_loop() -> None:
    table = {
        BEGIN: {FOUR: 1.0},
        FOUR: {FOUR: 0.8, END: 0.2},
    }
    long = Expectation(
        focus="it", slots=(SlotSpec("it", SlotType.DIGITS, min_length=6, max_length=6),)
    )
    [found] = heard(table, ONE, (long,))
    assert found[0].tokens == (FOUR,) * 6


@pytest.mark.parametrize(
    ("kind", "most", "said"),
    [
        (SlotType.DIGITS, None, 12),
        (SlotType.DIGITS, 4, 4),
        (SlotType.AMOUNT, None, 3),
    ],
)
def test_a_loop_ends_under_a_grammar_too(kind: SlotType, most: int | None, said: int) -> None:
    expected = Expectation(focus="it", slots=(SlotSpec("it", kind, max_length=most),))
    made = Biasing(TOKENS).automaton(expected)
    script = Script({BEGIN: {FOUR: 1.0}, FOUR: {FOUR: 0.9999, END: 0.0001}})
    [found] = search(script, ONE, [200], 3, [made])  # type: ignore[arg-type]
    assert set(found[0].tokens) == {FOUR}
    assert len(found[0].tokens) <= said
