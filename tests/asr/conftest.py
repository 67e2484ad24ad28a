import json
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from transformers import MoonshineConfig, MoonshineForConditionalGeneration

from voicebot.asr.checkpoint import Weights
from voicebot.asr.moonshine import Dimensions, Moonshine
from voicebot.asr.recogniser import Recogniser

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "audio"
SMALL = Dimensions(
    width=64, inner=96, heads=4, encoder_layers=2, decoder_layers=2, vocabulary=100, rotary=0.9
)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_model() -> Moonshine:
    """A network of random weights, lively enough that its outputs differ."""
    torch.manual_seed(0)
    model = Moonshine(SMALL).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture(scope="session")
def lively_model(small_model: Moonshine) -> Moonshine:
    """One whose sentences vary: larger embeddings make its choices sharp."""
    model = Moonshine(SMALL).eval().requires_grad_(False)
    model.load_state_dict(small_model.state_dict())
    model.decoder.embedding.weight.mul_(5)
    return model


@pytest.fixture(scope="session")
def reference() -> MoonshineForConditionalGeneration:
    """The reference implementation, as small, with random weights."""
    torch.manual_seed(1)
    config = MoonshineConfig(
        vocab_size=SMALL.vocabulary,
        hidden_size=SMALL.width,
        intermediate_size=SMALL.inner,
        encoder_num_hidden_layers=SMALL.encoder_layers,
        decoder_num_hidden_layers=SMALL.decoder_layers,
        encoder_num_attention_heads=SMALL.heads,
        decoder_num_attention_heads=SMALL.heads,
    )
    model = MoonshineForConditionalGeneration(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture(scope="session")
def small_weights(small_model: Moonshine) -> Weights:
    tokens = [b"<unk>", b"<s>", b"</s>"] + [f"\u2581w{i}".encode() for i in range(97)]
    return Weights(dict(small_model.state_dict()), tokens)


@pytest.fixture(scope="session")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    """The real one: the wheel is converted once per test session."""
    return Recogniser(tmp_path_factory.getbasetemp() / "recogniser", threads=1)


@pytest.fixture(scope="session")
def phone_sentences() -> list[tuple[NDArray[np.float32], str]]:
    """100 real telephone sentences, 8 kHz mu-law brought to 16 kHz, with their texts."""
    folder = RECORDINGS / "phone_calls"
    if not folder.is_dir():
        pytest.skip("needs the recordings in ../shared/audio")
    rows = [json.loads(line) for line in (folder / "transcripts.jsonl").read_text().splitlines()]
    sentences = [row for row in rows if row["kind"] == "sentence" and not row["unclear"]]
    chosen = random.Random(7).sample(sentences, 100)
    return [(telephone(folder / row["file"]), row["text"]) for row in chosen]


def telephone(path: Path) -> NDArray[np.float32]:
    samples, rate = soundfile.read(path, dtype="float32")
    return np.asarray(soxr.resample(samples, rate, 16000), np.float32)
