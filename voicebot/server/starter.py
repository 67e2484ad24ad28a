"""`voicebot new`: a plan to begin with, and scenarios beside it. Nothing is ever overwritten."""

from __future__ import annotations

import re
from pathlib import Path

from voicebot.errors import UserMistake
from voicebot.server.scenarios import SUFFIX, scenario_file

PLAN = """\
# What callers hear, and what is understood of what they say. All keys: dialplans/README.md
name: @TITLE@
language: en
welcome: Welcome to @TITLE@.

# These work everywhere. Callers may press 0, or ask for somebody, at any time.
universals:
  operator: {transfer: "+15550100", dtmf: "0"}  # numbers stand in quotes, with their +
help: You can book a table, or ask when we are open.

# What happens when nothing is heard, or nothing understood: one rung after the other. After the
# last one the caller is put through to the operator.
noinput:
  - Sorry, I did not hear you.
  - I still cannot hear you. You can press zero to speak to someone.
nomatch:
  - Sorry, I did not understand that.
  - I did not get that either. You can press zero to speak to someone.

next: more  # where a form goes on that says nothing else at its end

forms:
  main:
    prompt: You can book a table, or ask when we are open. What can I do for you?
    reprompt: Would you like to book a table, or hear when we are open?
    menu:
      - {goto: booking, dtmf: "1"}
      - {goto: hours, dtmf: "2"}

  booking:
    # (a|b) is one of several, [x] may be left out, {people} is a value of the field below.
    phrases:
      - "[I'd like to|I want to|can I] (book|reserve) [a table]"
      - "[I'd like|I want] a table [please]"
      - "[(book|reserve)] a table for {people} [people]"
    # Asked for in this order; whatever the caller has said already is not asked for.
    fields:
      people:
        type: number
        prompt: For how many people?
        filled:
          - {when: people > 8, say: We have tables for up to eight., clear: people}
      day:
        type: date
        prompt: For which day?
      time:
        type: time
        prompt: At what time?
    review: A table for {{ people }}, {{ day | date }} at {{ time | time }}. Is that right?
    filled:
      # A call-out goes here: `call: book`, with `services: {book: {webhook: "https://..."}}`.
      - {say: Your table is booked., goal: booked}

  hours:
    anywhere: true  # may be asked for at any question, which then comes again
    phrases:
      - "[what are] [your] [opening] hours"
      - "when (are you|do you) open"
    enter: We are open from noon to eleven, every day but Monday.

  more:
    fields:
      again: {type: yes_no, prompt: "Is there anything else?"}
    filled:
      - {when: again, goto: main}
      - {say: Goodbye., disconnect: {outcome: served, goal: true}}
"""

SCENARIOS = """\
# What callers do, and what must come of it: voicebot test @FILE@
# Keys of a turn: caller, keys, silence, hangup (what the caller does), said, matches, not_said,
# state, slots, outcome, goal (what must come of it).
now: "2026-11-20 10:30"  # a Friday: "tomorrow" means the same every day

scenarios:
  a table in one sentence:
    - {said: "What can I do for you?", state: main}
    - {caller: I'd like a table for four, said: "For which day?", slots: {people: "4"}}
    - {caller: tomorrow, state: booking/time, slots: {day: "2026-11-21"}}
    - {caller: half past seven in the evening, said: "Is that right?", slots: {time: "19:30"}}
    - {caller: "yes", said: Your table is booked., goal: true}
    - {caller: "no", outcome: served}

  too many people:
    - {keys: "1", state: booking/people}
    - {caller: twelve, said: up to eight, state: booking/people, slots: {people: null}}

  hours in the middle of a booking:
    - {caller: book a table, state: booking/people}
    - {caller: when are you open, said: [noon to eleven, "how many people?"], state: booking/people}

  nothing heard, again and again:
    - {silence: true, said: I did not hear you}
    - {silence: true, said: press zero}
    - {silence: true, transfer: "+15550100", outcome: transferred}
"""


def write(path: Path) -> list[Path]:
    """Write plan and scenarios; UserMistake where one is there already or cannot be written."""
    if path.is_dir():
        raise UserMistake(f"new: {path} is a folder; name the plan, such as {path / 'plan.yaml'}")
    if path.suffix == "":
        path = path.with_suffix(".yaml")
    if path.suffix not in {".yaml", ".yml"} or path.name.endswith(SUFFIX):
        raise UserMistake(f"new: {path}: a plan's name ends in .yaml, such as restaurant.yaml")
    title = re.sub(r"[^A-Za-z0-9 ]+", " ", path.stem).strip() or "Plan"
    tests = scenario_file(path)
    texts = {
        path: PLAN.replace("@TITLE@", title[:1].upper() + title[1:]),
        tests: SCENARIOS.replace("@FILE@", path.name),
    }
    for file in texts:
        if file.exists() or file.is_symlink():
            raise UserMistake(f"new: {file} is there already; take another name")
    for file, text in texts.items():
        try:
            with file.open("x", encoding="utf-8") as opened:
                opened.write(text)
        except OSError as error:
            raise UserMistake(
                f"new: {file} cannot be written ({error.strerror}); "
                "name a file in a folder that exists"
            ) from None
    return list(texts)
