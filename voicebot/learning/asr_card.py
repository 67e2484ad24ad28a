"""The model card beside a checkpoint: what it is, what it learnt from, how well it does."""

from __future__ import annotations

import json
from collections.abc import Mapping

from voicebot.learning.asr_config import JOINED_DIGITS, JOINED_SENTENCES, Config
from voicebot.learning.asr_corpora import kitchen_file
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
_CORPUS = {
    **{"phone sentences": "phone_calls", "phone keywords": "phone_calls"},
    **{"phone names": "phone_calls", "learners": "read_sentences"},
    **{"digits": "digits", "barista": "barista"},
}
"""Set of the mixture -> the collection that its recordings are from."""
_JOINED = {JOINED_DIGITS: ("digits",), JOINED_SENTENCES: ("phone sentences", "learners")}
"""Sets put together of others' recordings."""
_MOONSHINE = """Moonshine tiny-en (Jeffries et al. 2024,
arXiv:2410.15608, MIT; weights of the wheel moonshine-voice 0.0.62)"""
_TUNED = """An English recogniser of telephone speech: {start} tuned to 8 kHz telephony.
16 kHz float32 in (8 kHz resampled), text with case and punctuation out. {parameters:.1f}M
parameters.

Licence: the original weights are MIT; what they were tuned on is named below."""
_RANDOM = """A network of Moonshine's architecture, {parameters:.2f}M parameters, to try training
with: it began with random weights, no published ones are in it, and it recognises little.

Licence: that of what it learnt from, named below."""
_SHARE_ALIKE = " CC BY-SA sources\nask that they be named."
HEAD = """\
# {name}

{what}

## Training

`voicebot train asr`: {steps} updates, seed {seed}, {audio_h:.1f} h of audio heard, {hours:.1f} h of
wall time.{splits} The telephone chain
and the mixture are those of the configuration at the end. The weights are an exponential moving
average{blend}.

Recordings: {counts}.
"""


_SPLITS = " Splits by session or speaker: `voicebot/learning/asr_splits.json`."


def sources(config: Config, counts: Mapping[str, int]) -> list[str]:
    """Those of SOURCES that a run drew from; `counts`: its recordings by set of the mixture."""
    drawn = {kind for kind, share in config.data.mixture.items() if share > 0}
    heard = {one for kind in drawn for one in _JOINED.get(kind, (kind,)) if counts.get(one)}
    used = {_CORPUS[kind] for kind in heard if kind in _CORPUS}
    folder = config.data.recordings
    if folder is not None and kitchen_file(folder).is_file() and config.impairments().noise:
        used.add("kitchen")
    if any(kind.startswith("synthetic ") for kind in drawn):
        used |= {"synthetic", "texts"} if config.data.texts is not None else {"synthetic"}
    return [name for name in SOURCES if name in used]


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
    used = sources(config, counts)
    is_random = config.network.start == "random"
    start = _MOONSHINE
    if config.network.weights is not None:
        start += f",\nbegun with the checkpoint {config.network.weights},"
    what = (_RANDOM if is_random else _TUNED).format(start=start, parameters=parameters / 1e6)
    if any("CC BY-SA" in SOURCES[name] for name in used):
        what += _SHARE_ALIKE
    blended = "" if blend == 1 else f", {blend:.0%} of the way from the untouched weights"
    text = HEAD.format(
        name=config.output.name,
        what=what,
        splits=_SPLITS if counts else "",
        steps=steps,
        seed=config.seed,
        audio_h=audio_s / 3600,
        hours=seconds / 3600,
        counts=", ".join(f"{kind} {n}" for kind, n in counts.items()) or "none (synthetic alone)",
        blend=blended,
    )
    text += "\n" + "\n".join(f"- {name}: {SOURCES[name]}" for name in used) + "\n"
    if figures:
        text += (
            "\n## Held-out recordings, 8 kHz mu-law\n\nErrors in % of words (slot words that are "
            "missing, for barista); tidy: texts with a capital and a final mark, in %.\n\n"
        )
        text += table(figures) + "\n"
    settings = json.dumps(config.model_dump(mode="json"), indent=1)
    return f"{text}\n## Configuration\n\n```json\n{settings}\n```\n"
