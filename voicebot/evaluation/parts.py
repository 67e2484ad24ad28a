"""The ears of a call as the server puts them together, for evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.engine import ears

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser
    from voicebot.audio.playout import Playout
    from voicebot.engine.runner import Runner
    from voicebot.turns.listener import Listener


def make_runner(slots: int, recogniser: Recogniser | None) -> Runner:
    """All that hears, for `slots` calls, in-band keys included."""
    return ears.make_runner(slots, recogniser, has_inband_keys=True)


def make_listener(playout: Playout) -> Listener:
    """One call's policies."""
    return ears.make_listener(playout.speaking)
