"""RNN-T and TDT heads, decoded greedily for many callers at once by label looping.

Each round looks at all frames of the chunk with the present state of the prediction network,
goes to every caller's first frame that is not blank, emits its label and advances the network:
as many rounds as the busiest caller has labels, and one (Bataev et al. 2024, arXiv:2406.06220).
A round has fixed shapes and asks nothing of the host, so that rounds are captured as CUDA graphs.

Shapes: B rows (callers), T frames of a chunk, J the joint's width, P the prediction network's.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voicebot.asr.fastconformer import FastConformerConfig


@dataclass(slots=True)
class DecoderState:
    """What decoding remembers of each caller between chunks; row r is a caller."""

    hidden: Tensor  # [B, L, P]
    cell: Tensor  # [B, L, P]
    predicted: Tensor  # [B, J], of the labels so far
    ahead: Tensor  # int64[B], frames of the next chunk that a duration skips
    symbols: Tensor  # int64[B], emitted at the present frame

    def rows(self, begin: int, end: int) -> DecoderState:
        """A view of some rows."""
        return DecoderState(*(getattr(self, f.name)[begin:end] for f in fields(self)))


@dataclass(slots=True)
class Labels:
    """What a chunk said: row r has `count[r]` labels. Written in place."""

    tokens: Tensor  # int32[B, S + 1]; the last column takes what is not wanted
    frames: Tensor  # int32[B, S + 1], frame of the chunk
    log_probs: Tensor  # float32[B, S + 1]
    count: Tensor  # int64[B]
    at: Tensor  # int64[B], frame looked at next
    pending: Tensor  # bool[1], whether any row has frames left

    @classmethod
    def empty(cls, rows: int, frames: int, max_symbols: int, device: torch.device) -> Labels:
        """Room for all labels that `frames` frames may give."""
        shape = (rows, frames * max_symbols + 1)
        return cls(
            torch.zeros(shape, dtype=torch.int32, device=device),
            torch.zeros(shape, dtype=torch.int32, device=device),
            torch.zeros(shape, device=device),
            torch.zeros(rows, dtype=torch.int64, device=device),
            torch.zeros(rows, dtype=torch.int64, device=device),
            torch.zeros(1, dtype=torch.bool, device=device),
        )

    def rows(self, begin: int, end: int) -> Labels:
        """A view of some rows; `pending` is shared."""
        parts = {f.name: getattr(self, f.name)[begin:end] for f in fields(self)[:-1]}
        return Labels(**parts, pending=self.pending)


class Transducer(nn.Module):
    """Prediction network and joint."""

    durations: Tensor

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        width, joint = config.predictor_width, config.joint_width
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary + 1, width)
        self.lstm = nn.LSTM(width, width, config.predictor_layers, batch_first=True)
        self.predictor = nn.Linear(width, joint)
        self.encoder = nn.Linear(config.width, joint)
        self.out = nn.Linear(joint, config.vocabulary + 1 + len(config.durations))
        durations = torch.tensor(config.durations or (0,))
        self.register_buffer("durations", durations, persistent=False)

    def start(self, rows: int) -> DecoderState:
        """State of callers who said nothing yet."""
        weight = self.predictor.weight
        shape = (1, self.config.predictor_layers, self.config.predictor_width)
        hidden, cell = weight.new_zeros(shape), weight.new_zeros(shape)
        blank = torch.full((1,), self.config.blank, device=weight.device)
        hidden, cell, predicted = self.predict(blank, hidden, cell)
        none = torch.zeros(rows, dtype=torch.int64, device=weight.device)
        return DecoderState(
            hidden.repeat(rows, 1, 1),
            cell.repeat(rows, 1, 1),
            predicted.repeat(rows, 1),
            none,
            none.clone(),
        )

    def predict(self, tokens: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        """tokens int64[B] after [B, L, P] twice -> the new ones, and their projection [B, J].

        Written out instead of nn.LSTM: cuDNN's wants its states contiguous and in another order.
        """
        x = self.embedding(tokens)
        hiddens, cells = [], []
        for layer in range(self.config.predictor_layers):
            w_in, w_state, b_in, b_state = (
                getattr(self.lstm, f"{name}_l{layer}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            gates = F.linear(x, w_in, b_in) + F.linear(hidden[:, layer], w_state, b_state)
            enter, forget, new, leave = gates.chunk(4, dim=1)
            state = forget.sigmoid() * cell[:, layer] + enter.sigmoid() * new.tanh()
            x = leave.sigmoid() * state.tanh()
            hiddens.append(x)
            cells.append(state)
        return torch.stack(hiddens, 1), torch.stack(cells, 1), self.predictor(x)

    def joint(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        """Both projected [.., J], broadcast -> logits [.., vocabulary + 1 + durations]."""
        return cast(Tensor, self.out(F.relu(encoded + predicted)))

    # ------------------------------------------------------------ decoding

    def begin(self, state: DecoderState, labels: Labels, counts: Tensor) -> None:
        """A new chunk: row r has counts[r] frames, 0 where it takes no part."""
        labels.count.zero_()
        labels.at.copy_(torch.where(counts > 0, state.ahead, 0))
        labels.pending.copy_((labels.at < counts).any()[None])

    def round(self, encoded: Tensor, counts: Tensor, state: DecoderState, labels: Labels) -> None:
        """One label of every row that has one left. encoded [B, T, J], projected.

        Rows that are through stay as they are, whatever is computed for them.
        """
        classes = self.config.vocabulary + 1
        logits = self.joint(encoded, state.predicted[:, None])
        tokens = logits[..., :classes].argmax(-1)
        steps = self._steps(logits[..., classes:], tokens)
        at = self._skip_blanks(tokens, steps, counts, state, labels.at)
        has = at < counts
        place = at.clamp(max=tokens.shape[1] - 1)[:, None]
        token = tokens.gather(1, place)[:, 0].clamp(0, classes - 1)
        chosen = logits.gather(1, place[..., None].expand(-1, 1, logits.shape[2]))[:, 0, :classes]
        log_prob = chosen.float().log_softmax(-1).gather(1, token[:, None])
        self._write(labels, has, token, at, log_prob)
        self._advance(state, token, has)
        symbols = state.symbols + has
        step = steps.gather(1, place)[:, 0]
        step = torch.where((symbols >= self.config.max_symbols) & (step == 0), 1, step) * has
        at = at + step
        state.symbols.copy_(torch.where(step > 0, 0, symbols))
        labels.at.copy_(at)
        labels.pending.copy_((at < counts).any()[None])

    def finish(self, state: DecoderState, labels: Labels, counts: Tensor) -> None:
        """The chunk is through: keep how far durations reach into the next one."""
        ahead = (labels.at - counts).clamp(min=0)
        state.ahead.copy_(torch.where(counts > 0, ahead, state.ahead))

    def decode(self, encoded: Tensor, counts: Tensor, state: DecoderState, labels: Labels) -> int:
        """A whole chunk where asking the device costs nothing; returns the rounds it took."""
        self.begin(state, labels, counts)
        rounds = 0
        while bool(labels.pending):
            self.round(encoded, counts, state, labels)
            rounds += 1
        self.finish(state, labels, counts)
        return rounds

    def _steps(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """int64[B, T]: frames to go on by after what each frame says."""
        is_blank = tokens == self.config.blank
        if not self.config.durations:
            return is_blank.long()
        steps = self.durations[logits.argmax(-1).clamp(0, len(self.durations) - 1)]
        return torch.where(is_blank & (steps == 0), 1, steps)

    def _skip_blanks(
        self, tokens: Tensor, steps: Tensor, counts: Tensor, state: DecoderState, at: Tensor
    ) -> Tensor:
        begin = at
        jumps = torch.where(tokens == self.config.blank, steps, 0)
        for _ in range(tokens.shape[1]):
            jump = jumps.gather(1, at.clamp(max=tokens.shape[1] - 1)[:, None])[:, 0]
            at = torch.where(at < counts, at + jump, at)
        state.symbols.mul_(at == begin)
        return at

    def _write(
        self, labels: Labels, has: Tensor, token: Tensor, at: Tensor, log_prob: Tensor
    ) -> None:
        room = labels.tokens.shape[1] - 1
        column = torch.where(has, labels.count, room).clamp(max=room)[:, None]
        labels.tokens.scatter_(1, column, token[:, None].int())
        labels.frames.scatter_(1, column, at[:, None].int())
        labels.log_probs.scatter_(1, column, log_prob)
        labels.count.add_(has)

    def _advance(self, state: DecoderState, token: Tensor, has: Tensor) -> None:
        hidden, cell, predicted = self.predict(token, state.hidden, state.cell)
        state.hidden.copy_(torch.where(has[:, None, None], hidden, state.hidden))
        state.cell.copy_(torch.where(has[:, None, None], cell, state.cell))
        state.predicted.copy_(torch.where(has[:, None], predicted, state.predicted))


def ctc_labels(logits: Tensor, counts: Tensor) -> list[list[int]]:
    """Greedy CTC of logits [B, T, vocabulary + 1], counts[B] of them valid; the blank is last."""
    best = logits.argmax(-1)
    blank = logits.shape[2] - 1
    fresh = torch.ones_like(best, dtype=torch.bool)
    fresh[:, 1:] = best[:, 1:] != best[:, :-1]
    inside = torch.arange(best.shape[1], device=best.device) < counts[:, None]
    kept = fresh & inside & (best != blank)
    return [row[keep].tolist() for row, keep in zip(best, kept, strict=True)]
