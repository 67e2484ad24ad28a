"""Greedy decoding with and without a draft says the same."""

from dataclasses import replace

import pytest
import torch

from voicebot.asr.decoder import Decoded, search
from voicebot.asr.greedy import LIKELY, greedy, is_sure

pytestmark = pytest.mark.unit
LIMITS = [12, 20, 7, 16]


@pytest.fixture(scope="module")
def model(lively_model):
    return lively_model


@pytest.fixture(scope="module")
def encoded(model):
    lengths = [8000, 5000, 12000, 9000]
    batch = torch.zeros(4, 12000)
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = torch.randn(length, generator=torch.Generator().manual_seed(length))
    return model.encoder(batch, lengths)


def plain(model, encoded):
    return [best for best, *_ in search(model.decoder, encoded, LIMITS)]


def test_it_is_the_search_with_one_beam(model, encoded):
    found = greedy(model.decoder, encoded, LIMITS)
    wanted = plain(model, encoded)
    assert [one.tokens for one in found] == [one.tokens for one in wanted]
    assert len({one.tokens for one in found}) > 1
    for one, other in zip(found, wanted, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-3)
        assert (one.end_log_prob is None) == (other.end_log_prob is None)


def test_a_draft_changes_nothing_whatever_it_says(model, encoded):
    wanted = plain(model, encoded)
    right = [one.tokens for one in wanted]
    half = [tokens[: len(tokens) // 2] for tokens in right]
    drafts = [
        right,
        half,
        [(), right[1], half[2], (5, 9, 5)],
        [(*tokens[:2], 7, *tokens[2:]) for tokens in right],
        [(33,) * 40] * 4,
    ]
    for draft in drafts:
        found = greedy(model.decoder, encoded, LIMITS, draft)
        assert [one.tokens for one in found] == right
        for one, other in zip(found, wanted, strict=True):
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-3)


def test_a_draft_that_holds_saves_steps(model, encoded, monkeypatch):
    right = [one.tokens for one in plain(model, encoded)]
    steps: list[object] = []
    forward = type(model.decoder).forward
    monkeypatch.setattr(
        type(model.decoder),
        "forward",
        lambda self, tokens, state: steps.append(tokens.shape) or forward(self, tokens, state),
    )
    greedy(model.decoder, encoded, LIMITS)
    without = len(steps)
    steps.clear()
    greedy(model.decoder, encoded, LIMITS, right)
    assert without > 5
    assert len(steps) < without
    assert greedy(model.decoder, encoded, []) == []


def test_a_sentence_is_left_where_a_token_is_in_doubt(model, encoded):
    whole = greedy(model.decoder, encoded, LIMITS)
    least = sorted(min(one.log_probs) for one in whole)[len(whole) // 2]
    found = greedy(model.decoder, encoded, LIMITS, least=least)
    for one, other in zip(found, whole, strict=True):
        if min(other.log_probs) >= least:
            assert (one.tokens, one.end_log_prob is None) == (
                other.tokens,
                other.end_log_prob is None,
            )
        else:
            assert one.tokens == other.tokens[: len(one.tokens)]
            assert one.end_log_prob is None
            assert one.log_probs[-1] < least
    left = [len(one.tokens) < len(other.tokens) for one, other in zip(found, whole, strict=True)]
    assert any(left)
    assert not all(left)


def test_sure_is_what_is_likelier_than_all_else_from_begin_to_end():
    sure = Decoded((5, 6), (-0.1, -0.6), -0.2)
    assert is_sure(sure)
    assert is_sure(Decoded((), (), -0.1)), "nothing said"
    assert not is_sure(replace(sure, log_probs=(-0.1, -0.7)))
    assert not is_sure(replace(sure, end_log_prob=-0.7))
    assert not is_sure(replace(sure, end_log_prob=None)), "cut off"
    assert is_sure(replace(sure, log_probs=(-0.1, -0.7)), LIKELY)
    assert not is_sure(replace(sure, log_probs=(-0.1, -1.1)), LIKELY)
