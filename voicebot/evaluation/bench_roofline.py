"""What a device could do at best: the arithmetic and the memory traffic of a chunk.

The bound is max(FLOPs / peak, bytes / bandwidth). Counted are matrix products, attention,
weights read once per step and ring buffers read once: no implementation can do with less.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from voicebot.asr.decoder import token_limit
from voicebot.asr.fastconformer import FastConformerConfig
from voicebot.asr.moonshine import FRAME_SAMPLES, STEM, Dimensions

PEAKS = {
    # name in the device's own: (bfloat16 FLOP/s, dense; bytes/s), NVIDIA's data sheets, SXM
    "H200": (989e12, 4.8e12),
    "H100": (989e12, 3.35e12),
    "A100": (312e12, 2.039e12),
}


@dataclass(frozen=True, slots=True)
class Device:
    """`flops` and `bandwidth` per second; `is_measured`: not from a data sheet."""

    name: str
    flops: float
    bandwidth: float
    is_measured: bool


@dataclass(frozen=True, slots=True)
class Work:
    """Of one chunk: FLOPs and bytes of a stream, and bytes of a step whatever its size."""

    flops: float
    stream_bytes: float
    step_bytes: float

    def seconds(self, device: Device, streams: int, steps: int) -> float:
        """At best, to bring `streams` on by one chunk in `steps` steps."""
        moved = streams * self.stream_bytes + steps * self.step_bytes
        return max(streams * self.flops / device.flops, moved / device.bandwidth)


def describe(device: torch.device) -> Device:
    """From the table for a GPU that is in it, else measured."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for known, (flops, bandwidth) in PEAKS.items():
            if known in name:
                return Device(name, flops, bandwidth, False)
        return Device(name, *_measured(device, torch.bfloat16, 4096), True)
    return Device("cpu", *_measured(device, torch.float32, 512), True)


def _measured(device: torch.device, dtype: torch.dtype, size: int) -> tuple[float, float]:
    """FLOP/s of a square product and bytes/s of a copy: the best of several."""
    left = torch.randn(size, size, device=device, dtype=dtype)
    block = torch.zeros(32 << 20, device=device, dtype=torch.uint8)

    def best(work: object, cost: float) -> float:
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            work()  # type: ignore[operator]
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - begun)
        return cost / min(seconds)

    product, target = torch.empty_like(left), torch.empty_like(block)
    flops = best(lambda: torch.mm(left, left, out=product), 2.0 * size**3)
    return flops, best(lambda: target.copy_(block), 2.0 * block.numel())


def fastconformer_work(
    config: FastConformerConfig, frames: int, *, parameters: int, item_bytes: int
) -> Work:
    """Of a chunk of so many encoder frames."""
    width, heads_seen = config.width, (max(config.left, 0) // frames + 1) * frames
    layer = 2 * 2 * width * config.inner + (4 + 3) * width**2 + config.kernel * width
    attention = 2 * heads_seen * width + (heads_seen + frames) * width  # scores, values, positions
    per_frame = config.layers * (layer + attention) + _stem(config)
    classes = config.vocabulary + 1 + len(config.durations)
    per_frame += config.joint_width * (width + classes)
    ring = config.layers * 2 * width * item_bytes
    return Work(2.0 * frames * per_frame, ring * (heads_seen + frames), parameters * item_bytes)


def _stem(config: FastConformerConfig) -> float:
    """Multiplications of a frame of the encoder in its stem."""
    channels, bands = config.stem_channels, config.bands()
    found = 9.0 * channels * 4 * bands[1]
    for stage in (2, 3):
        found += (9 + channels) * channels * (8 >> stage) * bands[stage]
    return found + channels * bands[3] * config.width


def telephone_work(dims: Dimensions, seconds: float, *, parameters: int, item_bytes: int) -> Work:
    """Of an utterance, encoded and decoded greedily at half the ceiling of its length."""
    frames = seconds * 16000 / FRAME_SAMPLES
    width, inner = dims.width, dims.inner
    (k1, s1), (k2, s2), (k3, _) = STEM
    stem = width * seconds * 16000 / s1 * (k1 + k2 * 2 * width / s2 + k3 * 2 * width / (s2 * 2))
    encoder = frames * dims.encoder_layers * (4 * width**2 + 2 * width * inner + 2 * frames * width)
    tokens = token_limit(seconds) / 2
    memory = frames * dims.decoder_layers * 2 * width**2
    step = dims.decoder_layers * (6 * width**2 + 3 * width * inner + 2 * (frames + tokens) * width)
    decoder = memory + tokens * (step + dims.vocabulary * width)
    kept = dims.decoder_layers * 2 * width * item_bytes * (frames + tokens / 2) * tokens
    per_token = dims.vocabulary * width + dims.decoder_layers * (8 * width**2 + 3 * width * inner)
    read = item_bytes * (
        parameters + per_token * (tokens - 1)
    )  # decoder weights again for every token
    return Work(2.0 * (stem + encoder + decoder), kept, read)
