"""`voicebot train asr`: a tiny run, its interruption and resumption, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from voicebot.asr import checkpoint
from voicebot.asr.moonshine import Moonshine
from voicebot.errors import UserMistake
from voicebot.learning import asr, asr_card, asr_config, asr_state
from voicebot.learning.asr_config import Config
from voicebot.learning.asr_network import with_dropout
from voicebot.learning.asr_trainer import Trainer

pytestmark = pytest.mark.unit

SMOKE = Path(asr.__file__).parent / "configs" / "asr_smoke.toml"


def smoke(output: Path, **changes: object) -> Config:
    content = asr_config.load(SMOKE).model_dump()
    quiet = {"output": output, "try_items": 0, "measure_items": 0}
    return Config.model_validate(content | quiet | changes)


def spoken_digits(folder: Path) -> Path:
    """A folder of recordings: noises of two lengths that count as digits of two speakers."""
    (folder / "digits").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        sound = rng.normal(0, 0.1, 3000 + 500 * (number % 2))
        speaker = "ann" if number % 2 else "bob"
        soundfile.write(folder / "digits" / f"{number}_{speaker}_0.flac", sound, 8000)
    return folder


def quiet(_: str) -> None:
    """Nobody is told."""


def weights(path: Path) -> dict[str, torch.Tensor]:
    dims = asr_config.load(SMOKE).network.dimensions(259)
    read = checkpoint.read(path, dims)
    assert read is not None
    return read.state


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_smoke_configuration_trains_and_leaves_checkpoint_card_and_log(tmp_path: Path) -> None:
    content = asr_config.load(SMOKE).model_dump() | {"output": tmp_path, "measure_items": 1}
    report = asr.run(Config.model_validate(content), tell=quiet)
    assert report.steps == 6
    assert report.model is not None
    weights(report.model)
    assert "rehearsal" in report.table()
    rows = [json.loads(line) for line in (tmp_path / asr.LOG).read_text().splitlines()]
    assert [row["step"] for row in rows if "total" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "errors" in row] == [3, 6]
    card = (tmp_path / asr.CARD).read_text()
    assert "seed 1" in card
    assert "began with random weights" in card
    assert "espeak-ng" in card
    # It heard no recordings and has no published weights in it.
    for untrue in ("arXiv:2410.15608", "tuned", "CC BY", "WUW", "Picovoice", "Banking77", "splits"):
        assert untrue not in card.partition("## Held-out")[0], untrue


def test_a_card_names_what_its_run_heard_and_where_it_began() -> None:
    config = Config.model_validate({
        "steps": 1, "output": "runs/x", "network": {"weights": "runs/y/model.safetensors"},
        "data": {"recordings": "nowhere", "mixture": {"learners": 1, "digits": 0, "barista": 1}},
    })  # fmt: skip
    counts = {"learners": 5, "digits": 3}
    assert asr_card.sources(config, counts) == ["read_sentences"]
    text = asr_card.card(
        config, parameters=1, steps=1, audio_s=1, seconds=1, counts=counts, figures={}
    )
    assert "Moonshine tiny-en" in text
    assert "begun with the checkpoint runs/y/model.safetensors" in text
    assert "asr_splits.json" in text
    assert "share" not in text.partition("## Training")[0]


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    config = smoke(tmp_path)
    refused = pytest.raises(UserMistake, match="another run is training there")
    with asr_state.alone(tmp_path), refused:
        asr.run(config, tell=quiet)
    with asr_state.alone(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(UserMistake, match="cannot be written"):
        asr.run(smoke(tmp_path / "file"), tell=quiet)


def test_resumed_run_gives_the_very_weights_of_an_unbroken_one(tmp_path: Path) -> None:
    # Recordings, since espeak's voices sound a little different each time.
    data = {
        "recordings": spoken_digits(tmp_path / "audio"), "mixture": {"digits": 1.0},
        "batch_seconds": 4.0, "pool": 6, "masks": 0.5,
    }  # fmt: skip
    dropping = {"data": data, "loss": {"dropout": 0.1}}
    whole = asr.run(smoke(tmp_path / "whole", steps=7, **dropping), tell=quiet)
    broken = smoke(tmp_path / "broken", steps=7, **dropping)
    assert asr.run(broken, tell=quiet, stop_after=4).model is None
    torch.rand(3)  # what happens between does not matter
    with (tmp_path / "broken" / asr.LOG).open("a") as log:
        log.write('{"step": 5, "aud\n')  # a call that was killed while it wrote
    resumed = asr.run(broken, tell=quiet)
    assert whole.model is not None
    assert resumed.model is not None
    one, other = weights(whole.model), weights(resumed.model)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_other_seed_gives_other_weights(tmp_path: Path) -> None:
    one = asr.run(smoke(tmp_path / "1", steps=1), tell=quiet)
    other = asr.run(smoke(tmp_path / "2", steps=1, seed=2), tell=quiet)
    assert one.model is not None
    assert other.model is not None
    name = "encoder.conv1.weight"
    assert not torch.equal(weights(one.model)[name], weights(other.model)[name])


def test_dropout_changes_what_is_learned_and_not_what_is_kept_to_hear_with() -> None:
    torch.manual_seed(0)
    model = with_dropout(Moonshine(asr_config.load(SMOKE).network.dimensions(259)), 0.5)
    sound = torch.randn(1, 8000)
    assert not torch.equal(*(model.train().encoder(sound).frames for _ in range(2)))
    assert torch.equal(*(model.eval().encoder(sound).frames for _ in range(2)))


def test_a_few_steps_on_the_same_words_lower_the_loss(tmp_path: Path) -> None:
    data = asr_config.load(SMOKE).data.model_dump() | {
        "mixture": {"synthetic answers": 1.0}, "empty": 0.0,
    }  # fmt: skip
    asr.run(smoke(tmp_path, steps=40, data=data), tell=quiet)
    rows = [json.loads(line) for line in (tmp_path / asr.LOG).read_text().splitlines()]
    texts = [row["text"] for row in rows]
    assert sum(texts[-5:]) / 5 < sum(texts[:5]) / 5 - 1.0


def test_state_of_another_configuration_is_refused_with_the_setting(tmp_path: Path) -> None:
    asr.run(smoke(tmp_path, steps=1), tell=quiet)
    with pytest.raises(UserMistake, match=r"begun with seed = 1, not 2"):
        asr.run(smoke(tmp_path, steps=1, seed=2), tell=quiet)


def test_damaged_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / asr.STATE).write_bytes(b"no state")
    with pytest.raises(UserMistake, match="damaged"):
        asr.run(smoke(tmp_path, steps=1), tell=quiet)


def test_more_steps_go_on_where_fewer_ended(tmp_path: Path) -> None:
    told: list[str] = []
    asr.run(smoke(tmp_path, steps=1), tell=quiet)
    report = asr.run(smoke(tmp_path, steps=2), tell=told.append)
    assert report.steps == 2
    assert "going on at step 1 of 2" in told


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("steps = ", "not TOML"),
        ("steps = 1\noutput = 'x'\n[data]\nmixture = {}", "data.mixture"),
        ("steps = 1\noutput = 'x'\n[data]\nmixture = {tea = 1}", "no set 'tea'"),
        ("steps = 0\noutput = 'x'\n[data]\nmixture = {digits = 1}", "steps"),
        ("steps = 1\noutput = 'x'\nfoo = 1\n[data]\nmixture = {digits = 1}", "foo"),
        (
            "steps = 1\noutput = 'x'\n[data]\nmixture = {digits = 1}\n[chain]\ntea = 1",
            "no impairment 'tea'",
        ),
    ],
)
def test_mistakes_in_the_configuration_are_one_line(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(UserMistake) as caught:
        asr_config.load(path)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_configuration_and_recordings_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="cannot be read"):
        asr.run(tmp_path / "none.toml", tell=quiet)
    data = asr_config.load(SMOKE).data.model_dump()
    with pytest.raises(UserMistake, match="holds none of phone_calls"):
        asr.run(smoke(tmp_path, data=data | {"recordings": tmp_path}), tell=quiet)
    with pytest.raises(UserMistake, match="no recordings for 'barista'"):
        asr.run(smoke(tmp_path, data=data | {"mixture": {"barista": 1.0}}), tell=quiet)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_within_an_update_ends_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    data = {
        "recordings": spoken_digits(tmp_path / "audio"), "mixture": {"digits": 1.0},
        "batch_seconds": 4.0, "pool": 6,
    }  # fmt: skip
    whole = asr.run(smoke(tmp_path / "whole", steps=5, data=data), tell=quiet)
    before = signal.signal(number, signal.default_int_handler)
    follow = Trainer._follow

    def told(trainer: Trainer) -> None:
        if trainer.step == 2 and not (tmp_path / "told").exists():
            (tmp_path / "told").touch()
            os.kill(os.getpid(), number)
        follow(trainer)

    monkeypatch.setattr(Trainer, "_follow", told)
    broken = smoke(tmp_path / "broken", steps=5, data=data)
    try:
        with pytest.raises(KeyboardInterrupt):
            asr.run(broken, tell=quiet)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    state = asr_state.load(tmp_path / "broken" / asr.STATE, broken.essence())
    assert state is not None
    assert state.step == 3
    resumed = asr.run(broken, tell=quiet)
    assert whole.model is not None
    assert resumed.model is not None
    one, other = weights(whole.model), weights(resumed.model)
    assert all(torch.equal(one[name], other[name]) for name in one)
