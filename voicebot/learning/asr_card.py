"""The model card beside a checkpoint: what it is, what it learnt from, how well it does."""

from __future__ import annotations

import json
from collections.abc import Mapping

from voicebot.learning.asr_config import Config
from voicebot.learning.asr_trial import Score, table

SOURCES = {
    "phone_calls": "WUW Corpus II (Kepuska), telephone calls of 2001, CC BY-SA 4.0",
    "read_sentences": "speechocean762 (Zhang et al. 2021, arXiv:2104.01378), free for any use",
    "digits": "Free Spoken Digit Dataset, CC BY-SA 4.0",
    "barista": "Picovoice speech-to-intent benchmark, Apache-2.0; texts by the untouched model, "
    "mended with the published slots",
    "kitchen": "noise of the same benchmark, its first two thirds, Apache-2.0",
    "texts": "Banking77 and Restaurants-8k (PolyAI), CC BY 4.0, spoken by espeak-ng",
    "synthetic": "espeak-ng 1.52 voices (GPL-3.0-or-later; its output is not covered)",
}
HEAD = """\
# {name}

An English recogniser of telephone speech: Moonshine tiny-en (Jeffries et al. 2024,
arXiv:2410.15608, MIT; weights of the wheel moonshine-voice 0.0.62) tuned to 8 kHz telephony.
16 kHz float32 in (8 kHz resampled), text with case and punctuation out. {parameters:.1f}M
parameters.

Licence: the original weights are MIT; what they were tuned on is named below. CC BY-SA sources
ask that they be named.

## Training

`voicebot train asr`: {steps} updates, seed {seed}, {audio_h:.1f} h of audio heard, {hours:.1f} h of
wall time. Splits by session or speaker: `voicebot/learning/asr_splits.json`. The telephone chain
and the mixture are those of the configuration at the end. The weights are an exponential moving
average{blend}.

Recordings: {counts}.
"""


def card(
    config: Config,
    *,
    parameters: int,
    steps: int,
    audio_s: float,
    seconds: float,
    counts: Mapping[str, int],
    figures: Mapping[str, Mapping[str, Score]],
    blend: float = 1.0,
) -> str:
    """Markdown. `figures`: name of weights and search -> scores on held-out recordings."""
    blended = "" if blend == 1 else f", {blend:.0%} of the way from the untouched weights"
    text = HEAD.format(
        name=config.output.name,
        parameters=parameters / 1e6,
        steps=steps,
        seed=config.seed,
        audio_h=audio_s / 3600,
        hours=seconds / 3600,
        counts=", ".join(f"{kind} {n}" for kind, n in counts.items()) or "none (synthetic alone)",
        blend=blended,
    )
    text += "\n" + "\n".join(f"- {name}: {licence}" for name, licence in SOURCES.items()) + "\n"
    if figures:
        text += (
            "\n## Held-out recordings, 8 kHz mu-law\n\nErrors in % of words (slot words that are "
            "missing, for barista); tidy: texts with a capital and a final mark, in %.\n\n"
        )
        text += table(figures) + "\n"
    settings = json.dumps(config.model_dump(mode="json"), indent=1)
    return f"{text}\n## Configuration\n\n```json\n{settings}\n```\n"
