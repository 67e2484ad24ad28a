"""From a trained checkpoint to the file that is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from voicebot.asr import checkpoint
from voicebot.asr.moonshine import Dimensions, Moonshine
from voicebot.errors import UserMistake
from voicebot.learning import asr_export
from voicebot.learning.asr import _bytes_alone

pytestmark = pytest.mark.unit

TOKENS = _bytes_alone()
SMALL = Dimensions(64, 96, 4, 2, 2, len(TOKENS))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    model = Moonshine(SMALL)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    checkpoint.write(path, checkpoint.Weights(dict(model.state_dict()), TOKENS))
    (path.parent / "MODEL_CARD.md").write_text(
        "# run\n\nLearnt from X.\n\n## Configuration\n\n{}\n"
    )
    return path


def test_the_export_is_small_sound_and_computes_what_the_checkpoint_does(
    trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "telephone.safetensors"
    exported = asr_export.export(trained, out, tell=lambda _: None, dims=SMALL)
    assert exported.divergence < 0.02
    stored = checkpoint.open_file(out, SMALL)
    assert stored.is_packed
    assert stored.tokens == TOKENS
    assert out.stat().st_size < 0.4 * trained.stat().st_size
    exact = checkpoint.build(checkpoint.open_file(trained, SMALL).weights(), SMALL)
    as_float = checkpoint.build(stored.weights(), SMALL)
    assert asr_export.apart(exact, as_float, TOKENS) < exported.divergence


def test_the_card_comes_along_under_the_models_name(trained: Path, tmp_path: Path) -> None:
    asr_export.export(trained, tmp_path / "ear.safetensors", tell=lambda _: None, dims=SMALL)
    card = (tmp_path / "ear.md").read_text()
    assert card.startswith("# ear.safetensors: ")
    assert card.index("Learnt from X.") < card.index("int8") < card.index("## Configuration")


def test_weights_that_int8_spoils_are_not_shipped(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asr_export, "MAX_DIVERGENCE", 1e-9)
    out = tmp_path / "out.safetensors"
    with pytest.raises(UserMistake, match="does not survive int8"):
        asr_export.export(trained, out, tell=lambda _: None, dims=SMALL)
    assert not out.exists()


def test_what_cannot_be_exported_is_told_in_one_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stray = tmp_path / "stray.safetensors"
    stray.write_bytes(b"hello")
    good = tmp_path / "good.safetensors"
    for source, out in [
        (tmp_path / "none.safetensors", good),
        (tmp_path, good),
        (stray, good),
        (stray, tmp_path / "out.bin"),
        (stray, stray),
        (trained, good),  # of another architecture than the product's
    ]:
        assert asr_export.main([str(source), str(out)]) == 2
        told = capsys.readouterr().err
        assert told.startswith("voicebot: ")
        assert told.count("\n") == 1
    assert not good.exists()
