import itertools

import numpy as np
import pytest
import torch

from voicebot.asr.alignment import Said, _smooth, attention, path, word_times
from voicebot.asr.moonshine import BEGIN, Encoded, Moonshine, rotations
from voicebot.asr.utterance import COMFORTABLE_SAMPLES, WINDOW_SAMPLES, prepare, starts

pytestmark = pytest.mark.unit


def test_the_path_follows_what_was_looked_at():
    weights = np.full((1, 4, 15), 0.01, np.float32)
    for row, (begin, end) in enumerate([(0, 3), (3, 8), (8, 11), (11, 15)]):  # as the median sees
        weights[0, row, begin:end] = 0.5
    found = path(weights)
    assert found is not None
    assert found.tolist() == [0, 3, 8, 11]


def test_every_token_gets_a_frame_in_order():
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = path(rng.random((2, 6, 9)).astype(np.float32))
        assert found is not None
        assert found[0] == 0
        assert (np.diff(found) >= 1).all()
        assert found[-1] < 9


def test_the_path_is_the_best_of_all():
    rng = np.random.default_rng(1)
    weights = rng.random((1, 3, 30)).astype(np.float32)
    likeness = (weights - weights.mean(1, keepdims=True)) / (weights.std(1, keepdims=True) + 1e-9)
    smooth = np.lib.stride_tricks.sliding_window_view(
        np.pad(likeness, ((0, 0), (0, 0), (2, 2)), mode="edge"), 5, axis=2
    )
    total = np.median(smooth, axis=-1)[0]
    best = max(
        (total[0, :a].sum() + total[1, a:b].sum() + total[2, b:].sum(), (0, a, b))
        for a in range(1, 29)
        for b in range(a + 1, 30)
    )
    found = path(weights)
    assert found is not None
    assert tuple(found.tolist()) == best[1]


def test_more_tokens_than_frames_have_no_times():
    assert path(np.ones((1, 5, 4), np.float32)) is None


def test_attention_of_a_batch_is_that_of_each_alone(small_model: Moonshine):
    rng = torch.Generator().manual_seed(2)
    frames = torch.randn(2, 20, small_model.dims.width, generator=rng)
    sentences, heads = [(5, 6, 7), (9,)], [(0, 1), (1, 3)]
    both = attention(small_model.decoder, Encoded(frames, (20, 12)), sentences, heads)
    assert [one.shape for one in both] == [(2, 4, 20), (2, 2, 12)]
    assert np.allclose(both[0].sum(-1), 1, atol=1e-5)
    alone = Encoded(frames[1:, :12], (12,))
    one = attention(small_model.decoder, alone, sentences[1:], heads)[0]
    assert np.allclose(both[1], one, atol=1e-5)


def test_attention_is_what_the_decoder_computes(small_model: Moonshine):
    """Its own layers, run one after the other, and the product of their queries and keys."""
    decoder, rng = small_model.decoder, torch.Generator().manual_seed(4)
    encoded = Encoded(torch.randn(2, 20, small_model.dims.width, generator=rng), (20, 12))
    sentences, heads = [(5, 6, 7), (9, 8, 7)], [(0, 1), (1, 3), (0, 2)]
    state = decoder.start(encoded, 0)
    x = decoder.embedding(torch.tensor([[BEGIN, *tokens] for tokens in sentences]))
    rotation = rotations(small_model.dims, 4)
    expected = {}
    for index, layer in enumerate(decoder.layers):
        q, k, v = layer.attention.project(layer.attention_norm(x), rotation)
        own = x + layer.attention.attend(q, k, v, torch.ones(4, 4, dtype=torch.bool).tril())
        query = layer.cross.q(layer.cross_norm(own)).unflatten(-1, (layer.cross.heads, -1))
        scores = query.transpose(1, 2) @ state.memory[index][0].transpose(2, 3)
        scores = scores / query.shape[-1] ** 0.5
        expected[index] = scores.masked_fill(~state.memory_mask, -torch.inf).softmax(-1)
        x = layer(x, rotation, state, index)
    found = attention(decoder, encoded, sentences, heads)
    for row, length in enumerate(encoded.lengths):
        for at, (index, head) in enumerate(heads):
            wanted = expected[index][row, head, :, :length].numpy(force=True)
            assert np.allclose(found[row][at], wanted, atol=1e-6)


def test_the_median_is_that_of_five():
    weights = np.random.default_rng(5).normal(size=(2, 7, 40)).astype(np.float32)
    padded = np.pad(weights, ((0, 0), (0, 0), (2, 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=2)
    assert (_smooth(weights) == np.median(windows, axis=-1)).all()


def test_a_network_without_those_heads_gives_no_times(small_model: Moonshine):
    frames = torch.randn(1, 20, small_model.dims.width)
    said = Said((5, 6), [[0], [1]], np.zeros(8000, np.float32))
    (times,) = word_times(small_model.decoder, Encoded(frames, (20,)), [said])
    assert len(times) == 2


def test_where_pieces_begin():
    rng = np.random.default_rng(3)
    loud = rng.normal(0, 0.1, 16000).astype(np.float32) * np.sin(np.arange(16000) / 900)
    short = loud.astype(np.float32)
    assert starts(short) == [-(COMFORTABLE_SAMPLES - 16000) // 2]
    long = np.tile(short, 45)
    begins = starts(long)
    assert len(begins) == len(prepare(long)) == 3
    assert begins[0] == 0
    assert begins[1] == len(prepare(long)[0])
    assert all(b - a <= WINDOW_SAMPLES for a, b in itertools.pairwise(begins))
    assert starts(np.zeros(16000, np.float32)) == []
