import math

import pytest
import torch

from voicebot.asr.decoder import MAX_REPEATS, loop_start, search, token_limit
from voicebot.asr.moonshine import BEGIN, END, Encoded

pytestmark = pytest.mark.unit


class Script:
    """A decoder whose next token depends on the last one only: {last: {next: probability}}."""

    def __init__(self, table):
        self.table = torch.full((10, 10), 1e-9)
        for last, nexts in table.items():
            for token, probability in nexts.items():
                self.table[last, token] = probability

    def start(self, encoded, capacity, beams=1):
        return self

    def reorder(self, rows):
        pass

    def keep(self, utterances):
        pass

    def __call__(self, tokens, state):
        return self.table[tokens].log()


ONE = Encoded(torch.zeros(1, 4, 8), (4,))
A, B, C = 3, 4, 5
GARDEN_PATH = {
    BEGIN: {A: 0.6, B: 0.4},
    A: {A: 0.2, C: 0.5, END: 0.3},
    C: {END: 0.5, A: 0.5},
    B: {END: 1.0},
}


def test_greedy_takes_the_best_token_at_each_step():
    [[found]] = search(Script({**GARDEN_PATH, C: {END: 0.6, A: 0.4}}), ONE, [9])
    assert found.tokens == (A, C)
    assert found.log_probs == pytest.approx([math.log(0.6), math.log(0.5)], abs=1e-4)
    assert found.end_log_prob == pytest.approx(math.log(0.6), abs=1e-4)


def test_a_beam_finds_what_greedy_passes_by():
    [found] = search(Script(GARDEN_PATH), ONE, [9], beams=3)
    assert found[0].tokens == (B,)
    assert found[0].total == pytest.approx(math.log(0.4), abs=1e-4)
    assert [f.score for f in found] == sorted((f.score for f in found), reverse=True)
    assert len({f.tokens for f in found}) == len(found) == 3


def test_a_looping_decoder_is_stopped_and_its_loop_taken_back():
    [[found]] = search(Script({BEGIN: {A: 1.0}, A: {B: 1.0}, B: {A: 1.0}}), ONE, [100])
    assert found.tokens == (A, B)
    assert found.end_log_prob is None


@pytest.mark.parametrize("beams", [1, 3])
def test_the_limit_holds(beams):
    chain = {BEGIN: {3: 1.0}} | {i: {i + 1: 0.9, i: 0.1} for i in range(3, 9)} | {9: {3: 1.0}}
    [found] = search(Script(chain), ONE, [5], beams=beams)
    assert len(found[0].tokens) == 5


def test_what_ended_by_itself_comes_before_what_was_cut():
    chain = {BEGIN: {3: 1.0}, 3: {4: 0.6, END: 0.4}, 4: {5: 1.0}, 5: {6: 1.0}, 6: {7: 1.0}}
    [found] = search(Script(chain), ONE, [4], beams=2)
    assert found[0].tokens == (3,)


def naive(model, samples, limit):
    """Greedy decoding without cache or batch."""
    tokens = [BEGIN]
    while len(tokens) <= limit and loop_start(tokens[1:]) is None:
        state = model.decoder.start(model.encoder(samples[None]), capacity=0)
        best = model.decoder(torch.tensor([tokens]), state)[0, -1].argmax().item()
        if best == END:
            break
        tokens.append(best)
    return tuple(tokens[1:])


def test_a_batch_gives_what_each_utterance_gives(lively_model):
    model = lively_model
    lengths, limits = [8000, 5000, 12000, 3000], [7, 3, 9, 12]
    batch = torch.zeros(4, 12000)
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = torch.randn(length, generator=torch.Generator().manual_seed(length))
    encoded = model.encoder(batch, lengths)
    greedy = search(model.decoder, encoded, limits)
    for index, [found] in enumerate(greedy):
        whole = naive(model, batch[index, : lengths[index]], limits[index])
        assert found.tokens == whole[: len(found.tokens)]
        assert len(found.tokens) == len(whole) or loop_start(whole) == len(found.tokens)
    together = search(model.decoder, encoded, limits, beams=3)
    for index, found in enumerate(together):
        alone = model.encoder(batch[index : index + 1, : lengths[index]])
        [expected] = search(model.decoder, alone, limits[index : index + 1], beams=3)
        assert [f.tokens for f in found] == [e.tokens for e in expected]
        assert [f.total for f in found] == pytest.approx([e.total for e in expected], abs=1e-3)


def test_beam_totals_are_those_of_the_network(lively_model):
    """Caches are reordered with the beams: each total equals a fresh pass over its tokens."""
    samples = torch.randn(1, 9000, generator=torch.Generator().manual_seed(9))
    encoded = lively_model.encoder(samples)
    [found] = search(lively_model.decoder, encoded, [8], beams=4)
    assert len(found) > 1
    for decoded in found:
        tokens = torch.tensor([[BEGIN, *decoded.tokens]])
        state = lively_model.decoder.start(encoded, capacity=0)
        log_probs = lively_model.decoder(tokens, state)[0].log_softmax(-1)
        fresh = [log_probs[i, t].item() for i, t in enumerate(decoded.tokens)]
        assert list(decoded.log_probs) == pytest.approx(fresh, abs=1e-3)


@pytest.mark.parametrize(
    ("tokens", "start"),
    [
        ([], None),
        ([5] * MAX_REPEATS, None),
        ([5] * (MAX_REPEATS + 1), 1),
        ([1, 2, *[8, 9] * (MAX_REPEATS + 1)], 4),
        ([1, 2, 3, 1, 2, 3, 1, 2, 4], None),
    ],
)
def test_loops_are_found_at_the_end(tokens, start):
    assert loop_start(tokens) == start


def test_longer_audio_may_give_more_tokens():
    assert token_limit(0.1) < token_limit(2) < token_limit(20)
