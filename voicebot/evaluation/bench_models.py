"""The models of `voicebot bench asr`, with random weights: cost does not depend on their values."""

from __future__ import annotations

import torch

from voicebot.asr.fastconformer import FastConformerConfig
from voicebot.asr.fastconformer_device import placed
from voicebot.asr.fastconformer_stream import FastConformer
from voicebot.asr.mel import SAMPLE_RATE_HZ

TELEPHONE = "telephone"
CONFIGS = {
    "tiny": FastConformerConfig(
        width=64,
        layers=2,
        heads=4,
        inner=128,
        stem_channels=16,
        vocabulary=64,
        predictor_width=32,
        predictor_layers=1,
        joint_width=32,
        has_ctc=False,
        max_symbols=1,
    ),
    "fastconformer-115m": FastConformerConfig(has_ctc=False, max_symbols=1),
    "fastconformer-0.6b": FastConformerConfig(
        mels=128, width=1024, layers=24, inner=4096, has_ctc=False, max_symbols=1
    ),
}
NAMES = (*CONFIGS, TELEPHONE)
SILENT_SHARE = 0.75
"""Of frames that say nothing, as in speech. Deep random networks hear all noise alike and may
speak in every frame: their decoder then costs more than it would in life, never less."""


def fastconformer(name: str, device: torch.device) -> FastConformer:
    """In bfloat16 on a GPU, float32 on a CPU."""
    torch.manual_seed(0)
    with device:
        model = FastConformer(CONFIGS[name]).eval().requires_grad_(False)
    _balance(model, device)
    return placed(model, device)


@torch.inference_mode()
def _balance(model: FastConformer, device: torch.device) -> None:
    """Raise the blank until most frames say nothing, as in speech.

    Random labels would hardly tell the predictor to stop: it is made quiet (it
    costs what it costs), and a frame has one label at most.
    """
    transducer = model.transducer
    assert transducer is not None
    transducer.predictor.weight.zero_()
    generator = torch.Generator().manual_seed(0)
    samples = 0.05 * torch.randn(1, 4 * SAMPLE_RATE_HZ, generator=generator).to(device)
    mel, counts = model.features(samples, torch.tensor([samples.shape[1]], device=device))
    frames = model.encoder(mel, counts, 1)[0][0]
    start = transducer.start(1).predicted
    logits = transducer.joint(transducer.encoder(frames), start)
    lead = logits[:, : model.config.blank].amax(1) - logits[:, model.config.blank]
    transducer.out.bias[model.config.blank] += lead.float().quantile(SILENT_SHARE)
