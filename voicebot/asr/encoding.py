"""Audio of many callers through the encoder; what a draft has read is not encoded again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from voicebot.asr.batches import padded_frames, similar
from voicebot.asr.moonshine import Encoded, Encoder
from voicebot.asr.stream import Draft
from voicebot.asr.utterance import Samples


def encode_new(
    encoder: Encoder,
    pieces: list[Samples],
    lengths: Sequence[int],
    drafts: Sequence[Draft | None],
) -> Encoded:
    """All pieces; what drafts have read is not encoded again. `lengths`: of the audio."""
    known = [
        draft.frames_of(length) if draft else None
        for draft, length in zip(drafts, lengths, strict=True)
    ]
    new = [row for row, frames in enumerate(known) if frames is None]
    fresh = encode(encoder, [pieces[row] for row in new]) if new else None
    for at, row in enumerate(new):
        assert fresh is not None
        frames = fresh.frames[at, : fresh.lengths[at]]
        known[row] = frames
        if (draft := drafts[row]) is not None:
            draft.samples, draft.frames, draft.sentence = lengths[row], frames.clone(), None
    if fresh is not None and len(new) == len(pieces):
        return fresh
    return padded_frames([frames for frames in known if frames is not None])


def encode(encoder: Encoder, pieces: list[Samples]) -> Encoded:
    """All pieces, those of similar length together, as one padded whole."""
    frames: list[Tensor] = [torch.empty(0)] * len(pieces)
    for group in similar([len(piece) for piece in pieces]):
        padded = torch.zeros(len(group), max(len(pieces[index]) for index in group))
        for row, index in zip(padded, group, strict=True):
            row[: len(pieces[index])] = torch.from_numpy(pieces[index])
        encoded = encoder(padded, [len(pieces[index]) for index in group])
        for row, index in enumerate(group):
            frames[index] = encoded.frames[row, : encoded.lengths[row]]
    return padded_frames(frames)
