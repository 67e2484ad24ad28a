import pytest
import torch
from transformers import MoonshineForConditionalGeneration

from voicebot.asr.moonshine import MIN_SAMPLES, Dimensions, Moonshine, frame_count
from voicebot.asr.reference import from_reference

pytestmark = pytest.mark.unit


def loaded(reference: MoonshineForConditionalGeneration, dims: Dimensions) -> Moonshine:
    model = Moonshine(dims).eval().requires_grad_(False)
    model.load_state_dict(from_reference(reference.state_dict()))
    return model


def test_logits_are_those_of_the_reference(reference, small_model):
    ours = loaded(reference, small_model.dims)
    samples = torch.randn(2, 16000, generator=torch.Generator().manual_seed(2))
    tokens = torch.randint(0, 100, (2, 9), generator=torch.Generator().manual_seed(3))
    expected = reference(input_values=samples, decoder_input_ids=tokens).logits
    state = ours.decoder.start(ours.encoder(samples), capacity=9)
    assert expected.std() > 0.1
    torch.testing.assert_close(ours.decoder(tokens, state), expected, atol=1e-5, rtol=1e-4)


def test_the_cache_gives_what_the_whole_sentence_gives(small_model):
    encoded = small_model.encoder(torch.randn(2, 8000, generator=torch.Generator().manual_seed(4)))
    tokens = torch.arange(12).reshape(2, 6)
    whole = small_model.decoder(tokens, small_model.decoder.start(encoded, 6))
    state = small_model.decoder.start(encoded, 6)
    parts = [small_model.decoder(part, state) for part in tokens.split([3, 1, 2], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-4)


def test_a_batch_of_mixed_lengths_gives_what_each_item_gives(small_model):
    lengths = [16000, 9001, MIN_SAMPLES, 12345]
    batch = torch.zeros(4, 16000)
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = torch.randn(length, generator=torch.Generator().manual_seed(length))
    encoded = small_model.encoder(batch, lengths)
    tokens = torch.tensor([[1, 7, 9]]).expand(4, -1)
    logits = small_model.decoder(tokens, small_model.decoder.start(encoded, 3))
    for index, length in enumerate(lengths):
        alone = small_model.encoder(batch[index : index + 1, :length])
        assert encoded.lengths[index] == alone.frames.shape[1] == frame_count(length)
        torch.testing.assert_close(
            encoded.frames[index, : encoded.lengths[index]],
            alone.frames[0],
            atol=1e-4,
            rtol=1e-3,
        )
        single = small_model.decoder(tokens[:1], small_model.decoder.start(alone, 3))
        torch.testing.assert_close(logits[index : index + 1], single, atol=1e-4, rtol=1e-3)


def test_the_shortest_input_gives_one_frame():
    assert frame_count(MIN_SAMPLES) == 1
    assert frame_count(MIN_SAMPLES - 1) == 0
    assert frame_count(0) == 0


def test_it_learns(small_model):
    """Gradients reach every parameter: the network that runs is also the one that is trained."""
    model = Moonshine(small_model.dims).train()
    encoded = model.encoder(torch.randn(2, 4000), [4000, 2000])
    logits = model.decoder(torch.randint(0, 100, (2, 4)), model.decoder.start(encoded, capacity=0))
    logits.logsumexp(-1).mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
