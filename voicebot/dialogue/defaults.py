"""What a plan need not say: names, bounds and limits. Words are in `texts`."""

from __future__ import annotations

from voicebot.events import CONFIRM_SLOT

RESERVED = frozenset({CONFIRM_SLOT, "said", "value", "call", "now", "review", "change"})
"""Names that no field and no variable may have."""

NOMATCH_BELOW = 0.2
EXPLICIT_BELOW = 0.4
IMPLICIT_BELOW = 0.6
OVERWRITE_BELOW = 0.7
"""Less sure than this, a value beside a surer one does not replace what a slot holds."""
OFFERS = 2
"""Readings of one answer asked about, before the question comes again."""
MAX_DENIALS = 3
"""So many times "no" to the same value, then the nomatch ladder's end."""
MAX_MISSES = 12
"""So many noinputs and nomatches in a row, wherever, end the call: no plan loops for ever."""
MAX_DEPTH = 8
"""Forms that wait for one another; beyond is a plan that calls itself for ever."""
FILLER_AFTER_MS = 1500
"""Longer silences make callers ask whether somebody is there."""
MODEL_CONFIDENCE = 0.5
"""What a language model understood is mentioned or asked about, as the bounds say."""
MAX_STEPS = 500
"""Steps without waiting for anyone; beyond is a loop that the checks could not see."""
MAX_ALONE = 50
"""Answers of services, models and recorders in a row, before the caller is waited for again: beyond
is a loop such as one that calls a service again for as long as it fails."""

NOMATCH = "nomatch"
"""Kind of the note that says that a turn was of no use, where, and why."""

GOODBYE_OUTCOME = "goodbye"
HANG_UP_OUTCOME = "hung_up"
ERROR_OUTCOME = "error"
END_OUTCOME = "completed"
