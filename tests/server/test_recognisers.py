"""Which checkpoint a machine recognises with, and what `voicebot models` and `train` say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from voicebot.asr import checkpoint
from voicebot.asr.moonshine import Dimensions
from voicebot.cli import main
from voicebot.config import load_settings
from voicebot.errors import ModelUnavailable, UserMistake
from voicebot.server import recognisers

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("VOICEBOT_ASR__MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the right architecture, all zeros."""
    dims = Dimensions()
    shapes = checkpoint.expected_shapes(dims)
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    tokens = [b"x"] * dims.vocabulary
    checkpoint.write(path, checkpoint.pack(checkpoint.Weights(state, tokens)))
    (path.parent / "MODEL_CARD.md").write_text("# zeros\n\nWorth nothing.\n")
    return path


def in_use() -> Path | None:
    return recognisers.in_use(load_settings(_env_file=None))


@pytest.mark.parametrize("back", ["shipped", "telephone"])  # what it is, and its name in the list
def test_use_makes_a_checkpoint_the_machines_own_and_shipped_goes_back(
    sound: Path, capsys: pytest.CaptureFixture[str], back: str
) -> None:
    assert in_use() is None
    assert main(["models", "use", str(sound)]) == 0
    assert in_use() == sound
    assert main(["models", "list"]) == 0
    assert f"recognising with {sound}" in capsys.readouterr().out
    assert main(["models", "use", back]) == 0
    assert in_use() is None


def test_a_name_is_a_file_of_the_cache_folder(sound: Path, cache: Path) -> None:
    (cache / "models").mkdir(parents=True)
    named = cache / "models" / "zeros.safetensors"
    named.write_bytes(sound.read_bytes())
    assert recognisers.use("zeros", cache) == named
    assert in_use() == named


def test_the_setting_wins_over_the_choice(
    sound: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recognisers.use(str(sound), cache)
    monkeypatch.setenv("VOICEBOT_ASR__MODEL", "shipped")
    assert in_use() is None
    assert main(["models", "use", str(sound)]) == 0
    assert "VOICEBOT_ASR__MODEL=shipped is set, and wins" in capsys.readouterr().out
    monkeypatch.setenv("VOICEBOT_ASR__MODEL", "nowhere.safetensors")
    with pytest.raises(ModelUnavailable, match=r"asr\.model: nowhere"):
        in_use()


def test_what_is_no_checkpoint_is_refused_and_the_choice_stays(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "use", str(sound)]) == 0
    content = sound.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    changed = bytearray(content)
    changed[-10] ^= 1
    (tmp_path / "changed.safetensors").write_bytes(changed)
    (tmp_path / "text.safetensors").write_text("no weights")
    for name, told in [
        ("cut.safetensors", "truncated"),
        ("changed.safetensors", "checksum"),
        ("text.safetensors", "truncated, or no safetensors file"),
        (str(tmp_path), "is no file"),
        ("nobody", "neither a file nor a known name"),
    ]:
        capsys.readouterr()
        assert main(["models", "use", name]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
    assert in_use() == sound


def test_a_choice_that_is_gone_or_spoilt_says_how_to_go_back(cache: Path) -> None:
    cache.mkdir()
    (cache / recognisers.CHOICE).write_text(json.dumps({"checkpoint": str(cache / "gone")}))
    with pytest.raises(UserMistake, match=r"gone.*models use shipped"):
        in_use()
    (cache / recognisers.CHOICE).write_text("{")
    with pytest.raises(UserMistake, match="cannot be read; run `voicebot models use shipped`"):
        in_use()


def test_a_choice_that_cannot_be_written(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserMistake, match="cannot be written"):
        recognisers.use(str(sound), tmp_path / "file")


def test_cards_of_shipped_models_pulled_ones_and_checkpoints(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, told in [
        ("operator", "Trained by"),
        ("alexa", "not for commercial use"),
        (str(sound), "Worth nothing."),
    ]:
        assert main(["models", "card", name]) == 0
        assert told in capsys.readouterr().out
    assert main(["models", "card", "nobody"]) == 2


def test_train_lists_configurations_and_takes_them_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "list"]) == 0
    names = capsys.readouterr().out
    assert {"asr ", "asr_smoke "} <= {name[:len(name)] for name in ("asr ", "asr_smoke ")
                                     if f"\n{name}" in f"\n{names}"}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is neither a file nor a configuration"),
        ("steps = ", "not TOML"),
        ("steps = 0\noutput = 'o'\n[data]\nmixture = {digits = 1}", "steps"),
        ("steps = 1\noutput = 'o'\n[data]\nmixture = {bells = 1}", "no set 'bells'"),
        (
            "steps = 1\noutput = 'o'\nthreads = 1\n[network]\nstart = 'random'\n"
            "[data]\nrecordings = 'nowhere'\nmixture = {digits = 1}",
            "nowhere",
        ),
    ],
)
def test_what_cannot_be_trained_is_told_in_one_line(
    content: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content)
    assert main(["train", "asr", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_the_smoke_configuration_trains_and_prints_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "asr", "--config", "asr_smoke", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["steps"] == 6
    assert (tmp_path / report["model"]).is_file()
    assert "errors" in report["figures"]["tuned, greedy"]["synthetic digits"]


def test_an_interruption_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("voicebot.learning.asr.run", interrupted)
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").touch()
    assert main(["train", "asr", "--config", "mine.toml"]) == 130
    assert "`voicebot train asr --config mine.toml` goes on" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["near-end", "end-of-turn", "hot-word"])
def test_other_trainers_take_their_own_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["train", name, "--help"])
    assert left.value.code == 0
    assert "--seed" in capsys.readouterr().out or name == "end-of-turn"
