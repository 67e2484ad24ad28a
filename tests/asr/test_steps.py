"""What the network computes in int8 is what its modules do, number by number."""

import pytest
import torch

from voicebot.asr.moonshine import Moonshine
from voicebot.asr.quantise import quantise

pytestmark = pytest.mark.unit
LENGTHS = [8000, 12000]


@pytest.fixture(scope="module")
def model(lively_model):
    model = Moonshine(lively_model.dims).eval().requires_grad_(False)
    model.load_state_dict(lively_model.state_dict())
    return quantise(model)


@pytest.fixture(scope="module")
def encoded(model):
    batch = torch.zeros(2, 12000)
    for row, length in zip(batch, LENGTHS, strict=True):
        row[:length] = torch.randn(length, generator=torch.Generator().manual_seed(length))
    return model.encoder(batch, LENGTHS)


def told(decoder, encoded):
    """Logits of a draft for two utterances, of steps behind it, of beams and of one left alone."""
    state = decoder.start(encoded, 12, beams=2)
    state.reorder(torch.tensor([0, 1]))
    found = [decoder(torch.tensor([[1, 5, 9, 20], [1, 7, 2, 2]]), state)]
    state.forget(torch.tensor([0, 2]))
    found.append(decoder(torch.tensor([[8], [30]]), state))
    state.reorder(torch.tensor([0, 0, 1, 1]))
    found.append(decoder(torch.tensor([[3], [4], [5], [6]]), state))
    state.reorder(torch.tensor([2]))
    state.keep(torch.tensor([1]))
    found.append(decoder(torch.tensor([[50]]), state))
    assert state.length == 7
    return found


def test_every_step_is_that_of_the_modules(model, encoded, monkeypatch):
    assert model.decoder.steps is not None
    found = told(model.decoder, encoded)
    monkeypatch.setattr(model.decoder, "steps", None)
    for one, other in zip(found, told(model.decoder, encoded), strict=True):
        assert torch.equal(one, other)
    assert len({tuple(one.flatten().tolist()) for one in found}) == len(found)


def test_every_frame_is_that_of_the_modules(model, encoded, monkeypatch):
    assert model.encoder.passes is not None
    batch = torch.randn(2, 12000, generator=torch.Generator().manual_seed(5))
    for lengths in (None, LENGTHS):
        monkeypatch.undo()
        found = model.encoder(batch, lengths)
        monkeypatch.setattr(model.encoder, "passes", None)
        wanted = model.encoder(batch, lengths)
        assert torch.equal(found.frames, wanted.frames)
        assert found.lengths == wanted.lengths
    assert not torch.equal(found.frames, model.encoder(batch).frames), "padding is not heard"


def test_what_is_not_rounded_goes_through_the_modules(lively_model):
    assert lively_model.decoder.steps is None
    assert lively_model.encoder.passes is None
