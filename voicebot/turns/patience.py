"""How long a silence ends a turn: a rule of what is expected, heard and sounds finished. Pure.

The length depends on what the dialogue waits for, on what was recognised so far and on whether the
caller sounds finished: "yes" to a yes/no question ends sooner than a card number half read, "I
would like to" later than "that is all".
"""

from __future__ import annotations

import math

from voicebot.events import Completeness, Expectation, SlotType, Timeouts, TurnEndReason

SPELLED_TYPES = frozenset({SlotType.DIGITS, SlotType.PHONE, SlotType.LETTERS})
"""What callers read out in groups, with pauses between them: `Timeouts.digits_ms`."""

CERTAIN, DOUBTFUL = 0.8, 0.25
"""Confidences. Of 24 numbers of known length read out, heard to their end, 21 were surer than
0.65 and one less sure than this; of 23 heard without their last digit ten were made complete by
the recogniser, which expects so many digits: all less sure than 0.15 (training speakers)."""

CERTAIN_SHARE = 2 / 3
"""Of the patience with a complete answer, where there is no doubt about what was heard; and of that
same `complete_ms` where whoever may say anything surely sounds finished."""

LACKING_SHARE = 4 / 3
"""Of `digits_ms`, where digits are certainly lacking."""

EVEN_MS = 750
"""Silence, from where speech ended, after which a caller who is as likely to go on as not is taken
to have finished: with `incomplete_ms` 1500 this cuts 18.0 % of training callers' sentences off,
each judged by a net that does not know the caller, and decides 332 ms (mean; p95 1037) after the
VAD's last window of speech; 650 would cut 19.9 % at 290 ms, 850 15.3 % at 382 (LOG.md)."""

MS_PER_LOGIT = 350
"""How much longer for each unit of log-odds that the caller goes on. Where pauses die out like
exp(-t / MS_PER_LOGIT), waiting so long ends every turn at the same odds of being right."""

USUAL_MS = Timeouts().incomplete_ms
"""The `incomplete_ms` for which those two hold; with another one they grow or shrink with it."""


def patience(
    expectation: Expectation,
    completeness: Completeness | None,
    end_probability: float | None = None,
    *,
    confidence: float | None = None,
) -> tuple[int, TurnEndReason]:
    """Milliseconds of silence that end the turn, and why; None: not yet known.

    A complete answer ends by `complete_ms` or `yes_no_ms`, sooner if it was surely heard so.
    Digits that are not yet complete, or that a recogniser which expects so many made up, end by
    `digits_ms`, however finished they sound: people read numbers in groups. Anything else ends
    the sooner the more probably the caller has finished, between CERTAIN_SHARE of `complete_ms`
    and `incomplete_ms`, and by `incomplete_ms` where nobody judged; a longer or shorter one
    stretches all of the scale.
    """
    timeouts = expectation.timeouts
    focus = next((slot for slot in expectation.slots if slot.name == expectation.focus), None)
    is_spelled = focus is not None and focus.type in SPELLED_TYPES
    if completeness is Completeness.COMPLETE:
        if is_spelled and confidence is not None and confidence < DOUBTFUL:
            return timeouts.digits_ms, TurnEndReason.INCOMPLETE
        is_yes_no = focus is not None and focus.type is SlotType.YES_NO
        pause_ms = timeouts.yes_no_ms if is_yes_no else timeouts.complete_ms
        is_certain = confidence is not None and confidence >= CERTAIN
        return int(pause_ms * (CERTAIN_SHARE if is_certain else 1)), TurnEndReason.COMPLETE
    if focus is not None and is_spelled:
        is_fixed = focus.min_length is not None and focus.min_length == focus.max_length
        share = LACKING_SHARE if is_fixed and completeness is Completeness.EXTENDABLE else 1
        return int(timeouts.digits_ms * share), TurnEndReason.INCOMPLETE
    if end_probability is None:
        return timeouts.incomplete_ms, TurnEndReason.INCOMPLETE
    pause_ms = judged_patience(
        end_probability,
        shortest_ms=int(timeouts.complete_ms * CERTAIN_SHARE),
        longest_ms=timeouts.incomplete_ms,
        scale=timeouts.incomplete_ms / USUAL_MS,
    )
    return pause_ms, TurnEndReason.INCOMPLETE


def judged_patience(
    end_probability: float,
    *,
    shortest_ms: int,
    longest_ms: int,
    even_ms: int = EVEN_MS,
    scale: float = 1.0,
) -> int:
    """Milliseconds of silence after which a caller who has finished so probably is not waited for.

    `even_ms` belongs to probability 1/2: the trade between cutting callers off and delay, which
    the evaluation sweeps. `scale` stretches it, and what is added for doubt. Falls with the
    probability; never beyond `longest_ms`.
    """
    probability = min(max(end_probability, 1e-6), 1 - 1e-6)
    log_odds = math.log(probability / (1 - probability))
    return int(min(longest_ms, max(shortest_ms, scale * (even_ms - MS_PER_LOGIT * log_odds))))
