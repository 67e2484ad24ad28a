"""Authors' mistakes: each is found with its line, says how to mend it, and all at once."""

from pathlib import Path

import pytest

from voicebot.dialogue.plan import check, load_plan
from voicebot.errors import PlanError

pytestmark = pytest.mark.unit

GOOD = """\
welcome: Hello.
services:
  price: {webhook: "https://shop.example/price"}
forms:
  order:
    phrases: ["a {size} pizza"]
    fields:
      size:
        type: choice
        choices: [small, large]
        prompt: Which size?
      extra: {optional: true, type: text}
    filled:
      - call: price
        with: size
        assign: total
        error: {say: Sorry., disconnect: failed}
      - say: "A {{ size }} one is {{ total | money }}."
        disconnect: {outcome: ordered, goal: true}
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in check(path)]


def test_a_good_plan_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "type: choice",
            "type: chioce",
            "p.yaml:9: field 'size': unknown type 'chioce'; did you mean 'choice'?",
        ),
        (
            "prompt: Which",
            "promt: Which",
            "p.yaml:11: field 'size': unknown key 'promt'; did you mean 'prompt'?",
        ),
        (
            "        prompt: Which size?\n",
            "",
            "p.yaml:8: field 'size': has no 'prompt'; add one, or 'optional: true' if it is never "
            "asked for",
        ),
        (
            "disconnect: failed",
            "goto: oder",
            "p.yaml:17: form 'order': 'goto': unknown form 'oder'; did you mean 'order'?",
        ),
        (
            "{{ size }}",
            "{{ sise }}",
            "p.yaml:18: form 'order': unknown name 'sise' in the prompt; did you mean 'size'?",
        ),
        (
            "| money",
            "| mony",
            "p.yaml:18: form 'order': unknown kind 'mony'; did you mean 'money'?",
        ),
        (
            "{{ total | money }}",
            "{{ total | money }",
            "p.yaml:18: form 'order': '{{' without its counterpart",
        ),
        (
            "call: price",
            "call: prize",
            "p.yaml:14: form 'order': unknown service 'prize'; did you mean 'price'?",
        ),
        (
            "with: size",
            "with: {size: sise}",
            "p.yaml:15: form 'order': unknown name 'sise' in 'sise'; did you mean 'size'?",
        ),
        (
            "        error: {",
            "        when: size == small\n        error: {",
            "p.yaml:17: form 'order': unknown name 'small' in 'size == small'; "
            "put text in quotes: 'small'",
        ),
        (
            "        error: {",
            "        when: size = 'small'\n        error: {",
            "p.yaml:17: form 'order': condition \"size = 'small'\": cannot read \"= 'small'\"; "
            "compare with '=='",
        ),
        (
            "{size} pizza",
            "{sise} pizza",
            "p.yaml:6: form 'order': phrase 'a {sise} pizza': no field 'sise' in this form; "
            "did you mean 'size'?",
        ),
        (
            "a {size} pizza",
            "(a {size} pizza",
            "p.yaml:6: form 'order': phrase '(a {size} pizza': '(' is never closed",
        ),
        (
            "choices: [small, large]",
            "choices: 7",
            "p.yaml:10: field 'size': 'choices' must be a mapping of keys, not 7",
        ),
        (
            "choices: [small, large]",
            "list: sizes",
            "p.yaml:10: field 'size': unknown list 'sizes'; declare it under 'lists:'",
        ),
        (
            "choices: [small, large]",
            "length: 3",
            "p.yaml:10: field 'size': 'length' goes with digits, letters and phone only",
        ),
        (
            "choices: [small, large]",
            "choices: {small: {dtmf: 1}, large: {dtmf: 1}}",
            "p.yaml:10: field 'size': key 1 stands for 'small' already",
        ),
        (
            "welcome: Hello.",
            "noinput:\n  - {count: 2, prompt: a}\n  - {count: 1, prompt: b}",
            "p.yaml:3: 'noinput': counts must rise; 1 comes twice or late",
        ),
        (
            "welcome: Hello.",
            "confirm: {explicit_below: 0.9, implicit_below: 0.5}",
            "p.yaml:1: 'confirm': bounds must rise: nomatch_below <= explicit_below <= "
            "implicit_below (they are 0.2, 0.9, 0.5)",
        ),
        (
            "welcome: Hello.",
            "timeouts: {noinput: 5}",
            "p.yaml:1: 'noinput': a duration is written like 2s or 500ms, not 5",
        ),
        (
            "welcome: Hello.",
            "universals: {oprator: {transfer: '+15550100'}}",
            "p.yaml:1: unknown name 'oprator'; did you mean 'operator'?",
        ),
        (
            "welcome: Hello.",
            "universals: {operator: {transfer: 0800 12}}",
            "p.yaml:1: '0800 12' is neither a number like '+15550123456' (quoted) nor "
            "sip:name@host",
        ),
        ("welcome: Hello.", "start: ordr", "p.yaml:1: unknown form 'ordr'; did you mean 'order'?"),
        (
            "welcome: Hello.",
            "welcome: Hello.\nwelcome: Hi.",
            "p.yaml:2: key 'welcome' stands twice (first in line 1); remove one",
        ),
        (
            "welcome: Hello.",
            "variables: {size: 1}",
            "p.yaml:1: variable 'size': is a field of form 'order' already",
        ),
        (
            "{webhook: ",
            "{timeout: ",
            "p.yaml:3: service 'price': 'timeout': a duration is written like 2s or 500ms, not "
            "'https://shop.example/price'",
        ),
        (
            '{webhook: "https://shop.example/price"}',
            '{python: "shop:price"}',
            "p.yaml:3: service 'price': TMP/shop.py does not exist; put the module beside the plan",
        ),
        (
            "      extra:",
            "      value:",
            "p.yaml:12: field 'value': this name is reserved; take another one",
        ),
        (
            "A {{ size }}",
            "A {{ extra }} {{ size }}",
            "p.yaml:18: warning: form 'order': 'extra' is optional; put the part that speaks it "
            "in [...]",
        ),
        (
            "        disconnect: {outcome: ordered, goal: true}\n",
            "",
            "p.yaml:5: warning: form 'order': can end without goto, transfer or disconnect; the "
            "call then ends as 'completed'",
        ),
        (
            "{outcome: ordered, goal: true}",
            "{outcome: ordered, goal: maybe}",
            "p.yaml:19: form 'order': 'goal' must be true or false, not 'maybe'",
        ),
    ],
)
def test_one_mistake(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert GOOD.count(old) == 1
    found = problems(tmp_path, GOOD.replace(old, new))
    assert expected.replace("TMP", str(tmp_path)) in found, found


def test_all_mistakes_at_once_in_order(tmp_path: Path) -> None:
    text = (
        GOOD.replace("type: choice", "type: chioce")
        .replace("prompt: Which", "promt: Which")
        .replace("{{ size }}", "{{ sise }}")
        .replace("call: price", "call: prize")
        .replace("disconnect: failed", "goto: oder")
    )
    lines = [int(problem.split(":")[1]) for problem in problems(tmp_path, text)]
    # Line 3 is the warning that the service is now never called; nothing is reported twice.
    assert lines == [3, 9, 11, 14, 17, 18]


def test_load_plan_names_the_first_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(GOOD.replace("type: choice", "type: chioce").replace("{{ size", "{{ sise"))
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    assert str(caught.value) == (
        f"{path}:9: field 'size': unknown type 'chioce'; did you mean 'choice'? "
        f"(and 1 more: voicebot check {path})"
    )


def test_warnings_do_not_stop_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("forms:\n  a: {enter: Hello.}\n")
    assert load_plan(path).start == "a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "forms:\n"
            "  a: {fields: {x: {type: text, prompt: 'X?'}}, filled: {goto: b}}\n"
            "  b: {fields: {y: {type: text, prompt: 'Y?'}}, filled: {goto: a}}\n",
            "p.yaml:2: form 'a': loop without exit: 'a', 'b' never come to transfer or "
            "disconnect; add one",
        ),
        (
            "forms:\n"
            "  a: {enter: [{when: call.vip, disconnect: x}, {goto: b}]}\n"
            "  b: {enter: {goto: a}}\n",
            "p.yaml:2: form 'a': loop that waits for nobody: a -> b -> a",
        ),
        (
            "forms:\n"
            "  a:\n"
            "    noinput: {goto: a}\n"
            "    fields: {x: {type: text, prompt: 'X?'}}\n"
            "    filled: {disconnect: x}\n",
            "p.yaml:3: form 'a': loop without exit on noinput: a -> a; end it in "
            "transfer/disconnect",
        ),
        (
            "forms:\n  a: {enter: {disconnect: x}}\n  b: {enter: {disconnect: y}}\n",
            "p.yaml:3: warning: form 'b': cannot be reached from the start",
        ),
        (
            "forms:\n  a: {menu: [b]}\n  b: {enter: {disconnect: y}}\n",
            "p.yaml:2: form 'a': has no 'prompt'; add the menu's question",
        ),
        (
            "forms:\n  a: {prompt: 'B?', menu: [b]}\n  b: {enter: {disconnect: y}}\n",
            "p.yaml:2: form 'a': 'b' cannot be chosen; add 'phrases' to that form or a 'dtmf' key "
            "here",
        ),
        (
            "forms:\n  a: {prompt: 'B?', menu: [{goto: c, dtmf: 1}]}\n",
            "p.yaml:2: form 'a': 'goto': unknown form 'c'; forms are a",
        ),
        (
            "forms:\n  a: {prompt: 'Hello?'}\n",
            "p.yaml:2: form 'a': 'prompt' asks, but there is no 'menu' and no 'fields'; to speak "
            "only, use 'enter'",
        ),
        ("forms:\n  a:\n", "p.yaml:2: form 'a': 'a' must be a mapping of keys, not nothing"),
        ("forms: {}\n", "p.yaml:1: a plan needs 'forms:' with at least one form"),
        ("name: x\n", "p.yaml:1: a plan needs 'forms:' with at least one form"),
        ("form: {}\n", "p.yaml:1: unknown key 'form'; did you mean 'forms'?"),
        (
            "forms:\n  my form: {enter: {disconnect: x}}\n",
            "p.yaml:2: form 'my form': 'my form' is not a name; use letters, digits and _, "
            "beginning with a letter",
        ),
        (
            "forms:\n  a: {enter: [{when: true}, {disconnect: x}]}\n",
            "p.yaml:2: form 'a': 'when' must be text, not true",
        ),
        (
            "forms:\n  a: {enter: [{goto: a, disconnect: x}]}\n",
            "p.yaml:2: form 'a': a step has one exit: return, goto, transfer or disconnect",
        ),
        (
            "forms:\n  a: {enter: [{}, {disconnect: x}]}\n",
            "p.yaml:2: form 'a': a step does nothing; give it one of say, set, clear, record, "
            "goal, language, task, form, voicemail, call, do, return, goto, transfer, ...",
        ),
        (
            "forms:\n  a: {enter: [{disconnect: x}, hello]}\n",
            "p.yaml:2: warning: form 'a': this step is never reached; the one before leaves",
        ),
        (
            "forms:\n"
            "  a: {fields: {x: {type: text, prompt: 'X?'}}, filled: {goto: b}}\n"
            "  b: {fields: {x: {type: date, prompt: 'X?'}}, filled: {disconnect: y}}\n",
            "p.yaml:3: field 'x': differs from field 'x' of form 'a' in type or choices; rename "
            "one, or share the choices through 'lists:'",
        ),
    ],
)
def test_whole_plans(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert expected in found, found


def test_service_functions_are_looked_up_unrun(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("raise SystemExit\ndef price(size): ...\n")
    plan = GOOD.replace('{webhook: "https://shop.example/price"}', '{python: "shop:prise"}')
    assert problems(tmp_path, plan) == [
        f"p.yaml:3: service 'price': {tmp_path}/shop.py has no function 'prise'; "
        "did you mean 'price'?"
    ]
    assert problems(tmp_path, plan.replace("prise", "price")) == []
    (tmp_path / "shop.py").write_text("def price(:\n")
    assert "cannot be read as Python" in problems(tmp_path, plan)[0]


@pytest.mark.parametrize(
    "text", ["", "\t", "- a", "a: [", "forms: 3", "forms: {a: {b: {c: {d: {}}}}}", "forms: [1, 2]"]
)
def test_nonsense_is_reported_not_raised(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)
    with pytest.raises(PlanError, match=r"p\.yaml:\d+: "):
        load_plan(tmp_path / "p.yaml")


def test_phrases_are_asked_about_wherever_they_stand(tmp_path: Path) -> None:
    """What a phrase means is another room's affair; brackets are not reported twice."""
    plan = tmp_path / "p.yaml"
    plan.write_text(
        """\
universals:
  operator: {transfer: "+15550100", phrases: ["odd one"]}
forms:
  order:
    phrases: ["odd two", "good", "odd [three"]
    fields:
      size:
        prompt: Which size?
        choices:
          small: odd four
          large: {phrases: [big, odd five]}
    filled:
      - disconnect: done
"""
    )
    found = [
        str(problem).removeprefix(f"{tmp_path}/")
        for problem in check(
            plan, pattern_problem=lambda phrase: f"not {phrase}" if "odd" in phrase else None
        )
    ]
    assert found == [
        "p.yaml:2: not odd one",
        "p.yaml:5: form 'order': not odd two",
        "p.yaml:5: form 'order': phrase 'odd [three': '[' is never closed",
        "p.yaml:10: field 'size': not odd four",
        "p.yaml:11: field 'size': not odd five",
    ]


# ---------------------------------------------------------------- how callers are waited for

WAITING = """\
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
dtmf: {interdigit: 3s}
timeouts: {complete: 300ms}
forms:
  main:
    prompt: Balance or card?
    menu:
      - {goto: balance, dtmf: "1"}
      - {goto: card, dtmf: "12"}
  balance: {phrases: balance, enter: {say: Nothing., disconnect: done}}
  card:
    phrases: card
    fields:
      number:
        type: digits
        length: {min: 12, max: 19}
        prompt: "Which number?"
    filled: {disconnect: done}
"""


def test_a_plan_that_waits_well(tmp_path: Path) -> None:
    assert problems(tmp_path, WAITING) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "    prompt: Balance",
            "    dtmf: {max: 1}\n    prompt: Balance",
            "p.yaml:6: form 'main': 12 for 'card' cannot be entered: 'max' is 1",
        ),
        (
            '"12"',
            '"1#"',
            "p.yaml:9: form 'main': 1# for 'card' cannot be entered: # ends the input; take other "
            "keys or another 'terminator'",
        ),
        (
            "    prompt: Balance",
            "    dtmf: false\n    prompt: Balance",
            "p.yaml:6: warning: form 'main': keys are ignored here, but 'balance' has one",
        ),
        (
            "dtmf: {interdigit: 3s}",
            "dtmf: {min: 3, max: 2}",
            "p.yaml:2: 'dtmf': min is larger than max (3 > 2)",
        ),
        (
            "dtmf: {interdigit: 3s}",
            "dtmf: {max: 4}",
            "p.yaml:2: 'dtmf': 'max' is 4, but the field holds at least 12",
        ),
        (
            "dtmf: {interdigit: 3s}",
            "dtmf: {terminator: false, term: 1s}",
            "p.yaml:2: warning: 'dtmf': 'term' waits for the terminator, but there is none",
        ),
        (
            "dtmf: {interdigit: 3s}",
            "dtmf: {interdigit: 0s}",
            "p.yaml:2: 'interdigit': between 100ms and 10 minutes, not '0s'",
        ),
        (
            "complete: 300ms",
            "noinput: 7000s",
            "p.yaml:3: 'noinput': between 100ms and 10 minutes, not '7000s'",
        ),
        (
            "complete: 300ms",
            "complete: 2s",
            "p.yaml:3: warning: 'timeouts': 'complete' (2000ms) is longer than 'incomplete' "
            "(1500ms): who has finished waits longer than who may go on",
        ),
        (
            "        prompt: ",
            "        timeouts: {incomplete: 200ms}\n        prompt: ",
            "p.yaml:17: warning: field 'number': 'timeouts': 'complete' (300ms) is longer than "
            "'incomplete' (200ms): who has finished waits longer than who may go on",
        ),
        (
            "complete: 300ms",
            "max_speech: 1s",
            "p.yaml:3: warning: 'timeouts': 'max_speech' (1000ms) leaves no time to speak: a "
            "pause alone lasts 1500ms",
        ),
        (
            "        prompt: ",
            "        dtmf: false\n        barge_in: dtmf\n        prompt: ",
            "p.yaml:18: warning: field 'number': only keys may interrupt at 'card/number', but "
            "none are expected there",
        ),
        (
            "prompt: Balance or card?",
            "prompt: {say: 'Balance or card?', barge_in: hotwrd}",
            "p.yaml:6: form 'main': unknown barge_in 'hotwrd'; did you mean 'hotword'?",
        ),
        (
            "prompt: Balance or card?",
            "prompt: [{say: 'Balance or card?', barge_in: [speech]}]",
            "p.yaml:6: form 'main': 'barge_in': must be 'speech', 'hotword', 'dtmf' or "
            "'none', not a list",
        ),
        (
            "dtmf: {interdigit: 3s}",
            "dtmf: {terminator: '##'}",
            "p.yaml:2: 'terminator': '##' is not a key; keys are 0-9, *, # and A-D",
        ),
        (
            "dtmf: {interdigit: 3s}",
            "dtmf: {type_ahead: maybe}",
            "p.yaml:2: 'type_ahead' must be true or false, not 'maybe'",
        ),
        (
            "complete: 300ms",
            "completetimeout: 300ms",
            "p.yaml:3: unknown key 'completetimeout'; VoiceXML's completetimeout is 'timeouts: "
            "{complete: ...}'",
        ),
        (
            "complete: 300ms",
            "termtimeout: 1s",
            "p.yaml:3: unknown key 'termtimeout'; VoiceXML's termtimeout is 'dtmf: {term: ...}'",
        ),
        (
            "dtmf: {interdigit: 3s}",
            "dtmf: {interdigittimeout: 3s}",
            "p.yaml:2: unknown key 'interdigittimeout'; VoiceXML's interdigittimeout is 'dtmf: "
            "{interdigit: ...}'",
        ),
        (
            "dtmf: {interdigit: 3s}",
            "bargein: false",
            "p.yaml:2: unknown key 'bargein'; VoiceXML's bargein is 'barge_in'",
        ),
    ],
)
def test_one_mistake_in_waiting(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert WAITING.count(old) == 1
    found = problems(tmp_path, WAITING.replace(old, new))
    assert expected in found, found
    assert len(found) == len(set(found))
