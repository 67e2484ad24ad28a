import errno
import sys
import tempfile
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from voicebot.asr import checkpoint, wheel
from voicebot.asr.moonshine import Dimensions
from voicebot.errors import ModelUnavailable

pytestmark = pytest.mark.unit


@pytest.fixture
def conversions(monkeypatch, tmp_path, reference, small_weights):
    """A wheel of small random weights; the list grows with each conversion."""
    done = []

    def read_model(folder):
        done.append(folder)
        return dict(reference.state_dict()), small_weights.tokens

    monkeypatch.setattr(wheel, "find_folder", lambda: tmp_path)
    monkeypatch.setattr(wheel, "read_model", read_model)
    speech = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(wheel, "read_speech", lambda folder: speech)
    return done


@pytest.fixture
def dims(small_model) -> Dimensions:
    return small_model.dims


def is_same(one, other):
    return one.tokens == other.tokens and all(
        torch.equal(tensor, other.state[name]) for name, tensor in one.state.items()
    )


def test_conversion_happens_once(tmp_path, conversions, dims):
    first = checkpoint.load_weights(tmp_path / "new" / "cache", dims)
    again = checkpoint.load_weights(tmp_path / "new" / "cache", dims)
    assert len(conversions) == 1
    assert is_same(first, again)
    assert first.cache_problem is None
    assert [path.name for path in (tmp_path / "new" / "cache").iterdir()] == [checkpoint.FILE_NAME]


def flip_a_bit(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[:1000], flip_a_bit, lambda c: b"\xff" * 64],
    ids=["empty", "truncated", "bit", "garbage"],
)
def test_a_damaged_cache_is_converted_again(tmp_path, conversions, dims, damage):
    first = checkpoint.load_weights(tmp_path, dims)
    path = tmp_path / checkpoint.FILE_NAME
    path.write_bytes(damage(path.read_bytes()))
    again = checkpoint.load_weights(tmp_path, dims)
    assert len(conversions) == 2
    assert is_same(first, again)
    assert is_same(checkpoint.load_weights(tmp_path, dims), first)
    assert len(conversions) == 2


def test_a_cache_of_another_network_is_not_used(tmp_path, small_weights, dims):
    path = tmp_path / checkpoint.FILE_NAME
    checkpoint.write(path, small_weights)
    assert checkpoint.read(path, dims) is not None
    assert checkpoint.read(path, Dimensions()) is None


def test_a_cache_serves_without_the_wheel(tmp_path, small_weights, dims, monkeypatch):
    monkeypatch.setattr(wheel, "find_folder", lambda: pytest.fail("looked for the wheel"))
    checkpoint.write(tmp_path / checkpoint.FILE_NAME, small_weights)
    assert is_same(checkpoint.load_weights(tmp_path, dims), small_weights)


def test_neither_cache_nor_wheel(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match="pip install") as caught:
        checkpoint.load_weights(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_read_only_cache_costs_only_the_conversion(tmp_path, conversions, dims, monkeypatch):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    weights = checkpoint.load_weights(tmp_path, dims)
    assert "Read-only file system" in weights.cache_problem
    assert checkpoint.build(weights, dims)


def test_a_file_where_the_folder_should_be(tmp_path, conversions, dims):
    (tmp_path / "file").touch()
    weights = checkpoint.load_weights(tmp_path / "file", dims)
    assert str(tmp_path / "file") in weights.cache_problem


def test_weights_that_do_not_fit_are_a_user_mistake(small_weights):
    with pytest.raises(ModelUnavailable, match="do not fit"):
        checkpoint.build(small_weights, Dimensions())


def test_packing_quarters_the_size_and_loads_without_computing(tmp_path, small_weights, dims):
    packed = checkpoint.pack(small_weights)
    checkpoint.write(tmp_path / "full.safetensors", small_weights)
    checkpoint.write(tmp_path / "packed.safetensors", packed)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("packed", "full")]
    assert sizes[0] < 0.45 * sizes[1]
    stored = checkpoint.open_file(tmp_path / "packed.safetensors", dims)
    network = checkpoint.build_int8(stored, dims)
    rows = stored.tensors["decoder.embedding.weight"]
    assert network.decoder.embedding.rows.data_ptr() == rows.data_ptr()
    assert network.decoder.head.columns.data_ptr() == rows.data_ptr()


def test_packed_or_rounded_when_loaded_the_network_is_the_same(small_weights, dims):
    packed = checkpoint.pack(small_weights)
    # Convolutions are float16 in one and float32 in the other.
    halved = {n: packed.tensors[n].float() if v.ndim == 3 else v
              for n, v in small_weights.state.items()}  # fmt: skip
    rounded = checkpoint.build_int8(checkpoint.Stored(halved, small_weights.tokens), dims)
    loaded = checkpoint.build_int8(packed, dims)
    samples = torch.randn(1, 9000, generator=torch.Generator().manual_seed(1))
    logits = []
    for network in (loaded, rounded):
        encoded = network.encoder(samples)
        tokens = torch.tensor([[1, 7, 9]])
        logits.append(network.decoder(tokens, network.decoder.start(encoded, 3)))
    assert torch.equal(*logits)


def test_a_packed_file_serves_in_float32_too(small_weights, dims):
    state = checkpoint.pack(small_weights).weights().state
    assert state.keys() == small_weights.state.keys()
    for name, value in small_weights.state.items():
        assert state[name].dtype == torch.float32
        assert (state[name] - value).norm() <= 0.01 * value.norm()


def refusal(path, dims=None):
    with pytest.raises(ModelUnavailable) as caught:
        checkpoint.open_file(path, dims)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_sound_checkpoint_is_told_in_one_line(tmp_path, small_weights, dims):
    path = tmp_path / "model.safetensors"
    assert "no such file" in refusal(path, dims)
    assert "no such file" in refusal(tmp_path, dims)
    checkpoint.write(path, checkpoint.pack(small_weights))
    sound = path.read_bytes()
    assert checkpoint.open_file(path, dims).is_packed
    assert "decoder.layers.2.attention.out.weight is missing" in refusal(path)
    wider = replace(dims, width=96)
    assert "conv1.weight is 64 x 1 x 127, not 96 x 1 x 127" in refusal(path, wider)
    for cut in (0, 100, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:cut])
        assert "truncated" in refusal(path, dims)
    path.write_bytes(flip_a_bit(sound))
    assert "checksum" in refusal(path, dims)
    save_file({"weight": torch.zeros(3)}, path)
    assert "no checkpoint of the recogniser" in refusal(path, dims)


def test_tensors_that_do_not_belong_or_are_no_numbers(tmp_path, small_weights, dims):
    path = tmp_path / "model.safetensors"
    for change, told in [
        ({"extra": torch.zeros(1)}, "extra is not known"),
        ({"extra": torch.tensor(1.0)}, "extra is not known"),
        ({"encoder.norm.weight": torch.full((64,), torch.nan)}, "no finite numbers"),
        ({"encoder.layers.0.up.weight": torch.zeros(96, 64, dtype=torch.int8)}, "lacks its scales"),
    ]:
        state = small_weights.state | change
        checkpoint.write(path, checkpoint.Stored(state, small_weights.tokens))
        assert told in refusal(path, dims)
    state = {n: v for n, v in small_weights.state.items() if n != "decoder.norm.weight"}
    checkpoint.write(path, checkpoint.Stored(state, small_weights.tokens))
    assert "decoder.norm.weight is missing" in refusal(path, dims)


def test_the_shipped_file_comes_first_and_the_wheel_is_not_needed(
    tmp_path, small_weights, dims, monkeypatch
):
    monkeypatch.setattr(wheel, "find_folder", lambda: pytest.fail("looked for the wheel"))
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "telephone.safetensors")
    checkpoint.write(checkpoint.SHIPPED, checkpoint.pack(small_weights))
    stored, problem = checkpoint.load(tmp_path / "cache", dims=dims)
    assert stored.is_packed
    assert problem is None
    assert not (tmp_path / "cache").exists()


def test_without_a_shipped_file_the_wheel_serves(tmp_path, conversions, dims, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "none.safetensors")
    stored, _ = checkpoint.load(tmp_path, dims=dims)
    assert len(conversions) == 1
    assert not stored.is_packed


def test_neither_shipped_file_nor_what_reads_the_wheel(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "none.safetensors")
    monkeypatch.setitem(sys.modules, "voicebot.asr.wheel", None)
    monkeypatch.delattr("voicebot.asr.wheel")
    with pytest.raises(ModelUnavailable, match="reinstall voicebot") as caught:
        checkpoint.load(tmp_path)
    assert "\n" not in str(caught.value)
