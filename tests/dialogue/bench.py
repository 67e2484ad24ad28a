"""How long a step of the dialogue takes, and the check of a large plan. Not a test.

python tests/dialogue/bench.py [--states 1000] [--calls 300]
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from test_random_calls import MIDDAY, PLANS, Caller, Choices, load

from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import Plan, check
from voicebot.events import CallStarted


def large_plan(states: int) -> str:
    """A plan with so many places: forms of four fields and a review, in a ring of menus."""
    lines = ["universals: {operator: {transfer: '+15550100'}}", "next: f0", "forms:"]
    count = max(1, states // 10)  # a form: 4 fields, as many confirmations, review and change
    for form in range(count):
        lines.append(f"  f{form}:\n    phrases: [word{form} please]\n    fields:")
        for field in range(4):
            lines.append(f"      s{form}x{field}: {{type: number, prompt: 'Number {field}?'}}")
            lines[-1] = lines[-1].replace("}", ", confirm: always}")
        lines.append(f"    review: 'Is {{{{ s{form}x0 }}}} right?'\n    filled:")
        lines.append(f"      - {{when: s{form}x0 > 5, disconnect: done}}")
        lines.append(f"      - {{goto: f{(form + 1) % count}}}")
    return "\n".join(lines) + "\n"


def steps(plan: Plan, calls: int) -> list[float]:
    """CPU seconds of each step of random calls, ascending."""
    dice, taken = random.Random(1), []
    for _ in range(calls):
        machine = Machine(plan, MIDDAY)
        actions = machine.handle(CallStarted())
        caller = Caller(plan, machine, Choices(dice.randbytes(400)))
        for _ in range(30):
            event = caller.event(actions)
            begun = time.thread_time()
            actions = machine.handle(event) or actions
            taken.append(time.thread_time() - begun)
            if machine.outcome is not None:
                break
    return sorted(taken)


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--states", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    found: dict[str, float] = {}
    for path in PLANS:
        taken = steps(load(path), options.calls)
        found[f"{path.stem}_step_ms_median"] = round(taken[len(taken) // 2] * 1000, 3)
        found[f"{path.stem}_step_ms_p99"] = round(taken[int(len(taken) * 0.99)] * 1000, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.yaml"
        path.write_text(large_plan(options.states))
        begun = time.process_time()
        problems = check(path)
        found["check_s"] = round(time.process_time() - begun, 2)
        found["check_problems"] = len([one for one in problems if not one.is_warning])
        found["states"] = len(load(path).states())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
