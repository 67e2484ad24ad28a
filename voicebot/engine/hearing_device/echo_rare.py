"""What an echo canceller does now and then, over a few rows; see audio.echo and audio.realign."""

from __future__ import annotations

import torch
from torch import Tensor

from voicebot.audio import followed, realign
from voicebot.audio.delay import UNLOCKED
from voicebot.audio.kalman_model import PARTITIONS
from voicebot.engine.hearing_device.echo_parts import Parts
from voicebot.engine.hearing_device.state import put
from voicebot.events import CHUNK_SAMPLES


class RareSteps:
    """Each is as long as dozens of blocks, and computed behind the block that tells of it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        search = torch.tensor([*realign.SEARCH], dtype=torch.int64)
        self._search = search.to(parts.state.device)

    def rehearse(self) -> None:
        """Those whom the last block noted hear again what they have heard."""
        rows = self._parts.rehearsing
        near = self._parts.reference.near(rows, followed.REPLAY_BLOCKS)
        blocks = followed.REPLAY_BLOCKS + PARTITIONS
        far = self._parts.reference.late(rows, blocks, self._parts.reference.shift[rows])
        self._parts.filter.rehearse(rows, near, far)

    def follow(self, rows: Tensor, locks: Tensor) -> None:
        """Where the learned path explains what is heard, at the delay found (`locks`, bool[k]) or
        at the one of the last correlation; where it does so nowhere and the delay was found, the
        filter is to be started there."""
        state, tracker = self._parts.state, self._parts.tracker
        known, shift = self._parts.delay[rows], self._parts.reference.shift[rows]
        found = torch.where(locks, tracker.delay[rows], tracker.guess[rows])
        moved = (shift + found - known)[:, None] + self._search
        places = torch.cat((shift[:, None], moved), dim=1)
        best, scale, follows = self._best(rows, places)
        follows = follows & (known != UNLOCKED)
        place = places.gather(1, best[:, None])[:, 0]
        self._realign(rows, follows & (best > 0), place, scale)
        followed = state.only(rows, follows)
        delay = known + place - shift
        put(self._parts.delay, followed, delay)
        tracker.move(followed, delay)
        displaced = state.only(rows, follows & (place != shift))
        for counts in (self._parts.settled, self._parts.louder, self._parts.lost):
            counts.index_fill_(0, displaced, 0)
        self._parts.explanation.trust(displaced)
        put(self._parts.delay, state.only(rows, locks & ~follows), found)
        put(self._parts.starts, state.only(rows, locks), ~follows)

    def _best(self, rows: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of places int64[k, m]: the best one's index, the share of the predicted echo that is
        heard there, whether it explains anything; as audio.realign."""
        near = self._parts.reference.near(rows, realign.STEP_BLOCKS)[:, None]
        several = rows[:, None].expand_as(places)
        blocks = realign.STEP_BLOCKS + PARTITIONS
        far = self._parts.reference.late(several, blocks, places.clamp(min=0))
        echo = self._parts.filter.predict(rows, far)
        product, energy = (near * echo).sum(dim=2), echo.square().sum(dim=2)
        scale = (energy * near.square().sum(dim=2)).sqrt()
        is_there = places >= 0
        likeness = (product / scale.clamp(min=1e-9)).masked_fill(~is_there, 0.0)
        share = (product / energy.clamp(min=1e-9)).masked_fill(~is_there, 0.0)
        likeness, best = likeness.max(dim=1)
        share = share.gather(1, best[:, None])[:, 0]
        explains = (likeness >= realign.STEP_LIKENESS) & (share >= realign.STEP_SHARE)
        return best, share, explains

    def _realign(self, rows: Tensor, where: Tensor, place: Tensor, share: Tensor) -> None:
        kept = self._parts.state.only(rows, where)
        self._parts.reference.place(kept, place)
        blocks = realign.STEP_BLOCKS
        near = self._parts.reference.near(kept, blocks)
        far = self._parts.reference.late(kept, blocks + PARTITIONS, place)
        scale = share.clamp(max=realign._MAX_SCALE)
        self._parts.filter.refine(kept, scale, realign._STEP_DOUBT, near, far)

    def start(self, rows: Tensor) -> None:
        """Those of `rows` whose filter is to begin anew learn what was heard lately."""
        kept = self._parts.state.only(rows, self._parts.starts[rows])
        delay = self._parts.delay[kept]
        shift = (delay - followed.SLACK_SAMPLES).clamp(min=0)
        self._parts.reference.place(kept, shift)
        blocks = followed.REPLAY_BLOCKS
        near = self._parts.reference.near(kept, blocks)
        far = self._parts.reference.late(kept, blocks + PARTITIONS, shift)
        lead = (delay - shift - followed.EARLY_SAMPLES) // CHUNK_SAMPLES
        echo = self._parts.filter.start(kept, near, far, lead)
        counters = (
            self._parts.settled,
            self._parts.louder,
            self._parts.lost,
            self._parts.trial,
            self._parts.age,
            self._parts.waiting,
        )
        for counts in counters:
            counts.index_fill_(0, kept, 0)
        self._parts.explanation.lose(kept)
        near, echo = (signal.reshape(len(rows), -1, CHUNK_SAMPLES) for signal in (near, echo))
        self._parts.explanation.hear(kept, kept, near, echo)
        self._parts.starts.index_fill_(0, kept, False)
