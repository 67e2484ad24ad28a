import os
import subprocess
import sys

import pytest
import torch

from voicebot.asr import quantise as quantise_module
from voicebot.asr.moonshine import Moonshine
from voicebot.asr.quantise import (
    PACKED_OUTPUTS,
    Int8Linear,
    equalise,
    products,
    quantise,
    rounded_rows,
)

pytestmark = pytest.mark.unit


def generator(seed):
    return torch.Generator().manual_seed(seed)


def copied(model):
    copy = Moonshine(model.dims).eval().requires_grad_(False)
    copy.load_state_dict(model.state_dict())
    return copy


def logits(model, seed=1):
    encoded = model.encoder(torch.randn(2, 8000, generator=generator(seed)))
    tokens = torch.tensor([[1, 5, 9, 20]] * 2)
    return model.decoder(tokens, model.decoder.start(encoded, 4))


def test_int8_is_close_to_float():
    weight, bias = torch.randn(40, 64, generator=generator(0)), torch.randn(40)
    x = torch.randn(3, 5, 64, generator=generator(1)) * 7
    exact = torch.nn.functional.linear(x, weight, bias)
    error = Int8Linear(*rounded_rows(weight), bias)(x) - exact
    assert error.norm() / exact.norm() < 0.015


def test_a_row_does_not_depend_on_its_neighbours():
    linear = Int8Linear(*rounded_rows(torch.randn(40, 64, generator=generator(0))))
    rows = torch.randn(4, 64, generator=generator(1)) * torch.tensor([[1.0], [100.0], [0.0], [1]])
    torch.testing.assert_close(linear(rows)[:1], linear(rows[:1]))
    assert linear(rows)[2].abs().max() == 0


@pytest.mark.skipif(not quantise_module.is_worthwhile(), reason="needs int8 dot products")
@pytest.mark.parametrize(("most", "is_taken"), [("AVX512_CORE", False), ("ALL", True)])
def test_int8_is_not_taken_where_its_products_saturate(most, is_taken):
    program = "from voicebot.asr.quantise import is_worthwhile; print(is_worthwhile())"
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": most},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [str(is_taken)]


@pytest.mark.skipif(not quantise_module.is_worthwhile(), reason="needs int8 dot products")
def test_the_other_order_of_a_large_matrix_changes_no_number():
    rows, scale = rounded_rows(torch.randn(PACKED_OUTPUTS, 24, generator=generator(3)))
    bias = torch.randn(PACKED_OUTPUTS, generator=generator(4))
    x = torch.randn(5, 24, generator=generator(5)) * torch.tensor([[1.0], [90], [0], [1], [0.01]])
    for linear in (Int8Linear(rows, scale, bias), Int8Linear(rows, scale)):
        for row, product in zip(x, linear(x), strict=True):
            assert torch.equal(product, linear(row[None])[0])


def test_equalising_keeps_what_the_network_computes(small_model):
    equal = copied(small_model)
    equalise(equal, torch.randn(1, 8000, generator=generator(2)))
    layer = "encoder.layers.0.mlp_norm.weight"
    assert not torch.allclose(equal.state_dict()[layer], small_model.state_dict()[layer])
    torch.testing.assert_close(logits(equal), logits(small_model), atol=1e-4, rtol=1e-3)


def test_equalising_helps_where_channels_stand_out(small_model):
    spiky = copied(small_model)
    for layer in spiky.encoder.layers:
        layer.mlp_norm.weight.fill_(1.0)
        layer.mlp_norm.weight[3] = 100.0
        layer.up.weight[:, 3] /= 100
    exact = memory(spiky)
    equal = copied(spiky)
    equalise(equal, torch.randn(1, 8000, generator=generator(2)))
    before = (memory(quantise(spiky)) - exact).norm()
    after = (memory(quantise(equal)) - exact).norm()
    assert after < before / 3
    assert after / exact.norm() < 0.05


def memory(model):
    """What the decoder reads of the encoder."""
    encoded = model.encoder(torch.randn(1, 8000, generator=generator(1)))
    return model.decoder.start(encoded, capacity=0).memory[1][0]


def test_several_products_of_the_same_rows_are_those_of_each_alone():
    rng = generator(7)
    weights = [torch.randn(outputs, 24, generator=rng) for outputs in (16, 40)]
    x = torch.randn(2, 5, 24, generator=rng)
    parts = [slice(None), slice(8, 20)]
    exact = [torch.nn.Linear(24, len(weight), bias=False) for weight in weights]
    for linears in (exact, [Int8Linear(*rounded_rows(weight)) for weight in weights]):
        found = products(x, linears, parts)
        for linear, part, product in zip(linears, parts, found, strict=True):
            assert torch.equal(product, linear(x)[..., part])
