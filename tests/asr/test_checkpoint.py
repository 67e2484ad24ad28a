import errno
import tempfile

import pytest
import torch

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
