"""How a plan waits for its callers: timeouts, keys and interruptions, wherever they are set."""

import itertools
from pathlib import Path

import pytest
from conversation import NO, NONSENSE, SILENCE, Conversation, plan_of, says, universal

from voicebot.dialogue.plan import check
from voicebot.dialogue.schema import Dtmf, TimeoutKeys
from voicebot.errors import PlanError
from voicebot.events import BargeInMode, DigitRule, Expectation, Play, Timeouts

pytestmark = pytest.mark.unit

LEVELS = """\
{plan}
universals: {{operator: {{transfer: "+15550100", dtmf: "0"}}}}
forms:
  main:
    {form}
    fields:
      pin:
        {field}
        type: digits
        length: 4
        prompt: PIN?
        confirm: always
    review: {{prompt: "Right?", {review}}}
    filled: {{disconnect: done}}
"""
STATES = ("main/pin", "main/pin/confirm", "main/review", "main/change")


def expectations(tmp_path: Path, **levels: str) -> dict[str, Expectation]:
    """What is waited for in every state, with these keys at these levels."""
    lines = {name: levels.get(name, "") for name in ("plan", "form", "field", "review")}
    plan = plan_of(tmp_path, LEVELS.format(**lines))
    assert set(plan.states()) == set(STATES)
    return {state: plan.expectation(state) for state in STATES}


TIMEOUTS = {
    "noinput": "noinput_ms",
    "complete": "complete_ms",
    "yes_no": "yes_no_ms",
    "incomplete": "incomplete_ms",
    "digits": "digits_ms",
    "max_speech": "max_speech_ms",
}
KEYS = {
    "max": ("max_keys", [("9", 9), ("8", 8), ("7", 7), ("6", 6)]),
    "min": ("min_keys", [(f"{n}, max: 9", n) for n in (5, 2, 3, 4)]),
    "terminator": ("terminator", [("'*'", "*"), ("false", None), ("A", "A"), ("9", "9")]),
    "interdigit": ("interdigit_ms", [("1s", 1000), ("3s", 3000), ("4s", 4000), ("5s", 5000)]),
    "term": ("term_ms", [("1s", 1000), ("0s", 0), ("2s", 2000), ("600ms", 600)]),
    "type_ahead": ("has_type_ahead", [("false", False), ("true", True)] * 2),
}
NEAREST = {
    "main/pin": ("field", "form", "plan"),
    "main/pin/confirm": ("field", "form", "plan"),
    "main/review": ("review", "form", "plan"),
    "main/change": ("review", "form", "plan"),
}
SETTINGS = [
    *(
        ("timeouts", key, name, [(f"{n}s", 1000 * n) for n in (2, 3, 4, 5)])
        for key, name in TIMEOUTS.items()
    ),
    *(("dtmf", key, name, values) for key, (name, values) in KEYS.items()),
]


def test_every_key_is_tried() -> None:
    assert set(TIMEOUTS) == set(TimeoutKeys.model_fields)
    assert set(KEYS) == set(Dtmf.model_fields)
    assert set(TIMEOUTS.values()) == set(Timeouts.__dataclass_fields__)
    assert {name for name, _ in KEYS.values()} == set(DigitRule.__dataclass_fields__)


@pytest.mark.parametrize(
    ("group", "key", "name", "values"), SETTINGS, ids=[f"{s[0]}.{s[1]}" for s in SETTINGS]
)
def test_the_nearest_level_counts(
    tmp_path: Path, group: str, key: str, name: str, values: list[tuple[str, object]]
) -> None:
    """Each key alone, at every combination of levels; what no level says is the default."""
    levels = ("plan", "form", "field", "review")
    by_level = dict(zip(levels, values, strict=True))
    for count in range(len(levels) + 1):
        for chosen in itertools.combinations(levels, count):
            lines = {level: f"{group}: {{{key}: {by_level[level][0]}}}" for level in chosen}
            for state, waits_for in expectations(tmp_path, **lines).items():
                found = waits_for.timeouts if group == "timeouts" else waits_for.digits
                nearest = next((level for level in NEAREST[state] if level in chosen), None)
                if nearest is not None:
                    assert getattr(found, name) == by_level[nearest][1], (state, chosen)
                elif key not in {"max", "min"}:  # these follow from what is asked
                    default = Timeouts() if group == "timeouts" else DigitRule()
                    assert getattr(found, name) == getattr(default, name)


def test_keys_are_inherited_one_by_one(tmp_path: Path) -> None:
    rule = expectations(
        tmp_path,
        plan="dtmf: {interdigit: 3s, terminator: '*'}",
        form="dtmf: {term: 1s}",
        field="dtmf: {type_ahead: false, terminator: false}",
    )["main/pin"].digits
    assert rule == DigitRule(4, 4, None, 3000, 1000, False)


def test_an_empty_terminator_key_leaves_the_default(tmp_path: Path) -> None:
    rule = expectations(tmp_path, field="dtmf: {terminator: }")["main/pin"].digits
    assert rule is not None
    assert rule.terminator == "#"


def test_no_keys_at_all(tmp_path: Path) -> None:
    assert expectations(tmp_path, field="dtmf: false")["main/pin"].digits is None


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("speech", BargeInMode.SPEECH),
        ("true", BargeInMode.SPEECH),
        ("hotword", BargeInMode.HOTWORD),
        ("dtmf", BargeInMode.DTMF),
        ("none", BargeInMode.NONE),
        ("false", BargeInMode.NONE),
    ],
)
def test_barge_in_at_every_level(tmp_path: Path, text: str, mode: BargeInMode) -> None:
    other = "barge_in: dtmf" if mode is BargeInMode.SPEECH else "barge_in: speech"
    outer = {"plan": f"barge_in: {text}"}
    assert expectations(tmp_path, **outer)["main/pin"].barge_in is mode
    form = {"plan": other, "form": f"barge_in: {text}"}
    assert expectations(tmp_path, **form)["main/review"].barge_in is mode
    field = {"plan": other, "form": other, "field": f"barge_in: {text}"}
    found = expectations(tmp_path, **field)
    assert found["main/pin"].barge_in is found["main/pin/confirm"].barge_in is mode
    assert found["main/review"].barge_in is not mode


# ---------------------------------------------------------------- each prompt its own mode

NOTICE = """\
welcome: {say: This call is recorded., barge_in: hotword}
barge_in: dtmf
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
noinput: [{prompt: {say: "Still there?", barge_in: none}}, "Hello?"]
forms:
  main:
    barge_in: speech
    enter:
      - {say: [{say: One moment., barge_in: false}, Here we are.]}
    fields:
      town:
        choices: [Oslo, Rome]
        barge_in: hotword
        prompt: ["Where to?", {say: "Oslo or Rome?", barge_in: true}]
        reprompt: {say: "Where?", barge_in: none}
        help: {say: "Name a town.", barge_in: dtmf}
    review:
      prompt: ["To {{ town }}.", {say: "Is that right?", barge_in: dtmf}]
      barge_in: none
    filled: {say: {say: Have a good trip., barge_in: speech}, disconnect: done}
"""


def modes(call: Conversation) -> list[tuple[str, str]]:
    """What was said, and what may interrupt each prompt."""
    plays = [action for action in call.actions if isinstance(action, Play)]
    return list(zip(call.said, [str(play.barge_in) for play in plays], strict=True))


@pytest.fixture
def notice(tmp_path: Path) -> Conversation:
    return Conversation(plan_of(tmp_path, NOTICE))


def test_prompts_before_one_question_keep_their_own_modes(notice: Conversation) -> None:
    assert modes(notice) == [
        ("This call is recorded.", "hotword"),
        ("One moment.", "none"),
        ("Here we are.", "speech"),
        ("Where to?", "hotword"),
        ("Oslo or Rome?", "speech"),
    ]
    assert notice.waits_for is not None
    assert notice.waits_for.barge_in is BargeInMode.HOTWORD  # of the place, not of a prompt


def test_a_ladder_and_what_follows_it(notice: Conversation) -> None:
    notice(SILENCE)
    assert modes(notice) == [("Still there?", "none"), ("Where?", "none")]
    notice(SILENCE)
    assert modes(notice) == [("Hello?", "hotword"), ("Where?", "none")]
    notice(NONSENSE)
    assert modes(notice)[-1] == ("Where?", "none")


def test_repeat_says_everything_as_it_was(notice: Conversation) -> None:
    before = modes(notice)
    for _ in range(2):
        notice(universal("repeat"))
        assert modes(notice) == before
    notice(universal("help"))
    assert modes(notice)[0] == ("Name a town.", "dtmf")


def test_a_review_and_the_last_words(notice: Conversation) -> None:
    notice(says(town="Rome"))
    assert modes(notice) == [("To Rome.", "none"), ("Is that right?", "dtmf")]
    notice(NO)
    assert modes(notice) == [("What would you like to change?", "none")]
    notice(says(town="Oslo"))
    notice(says(confirmed="yes"))
    assert modes(notice) == [("Have a good trip.", "none")]  # nobody listens any more


@pytest.mark.parametrize(("longest", "is_fine"), [("25s", True), ("26s", False), ("60s", False)])
def test_an_utterance_is_no_longer_than_what_is_kept_of_a_call(
    tmp_path: Path, longest: str, is_fine: bool
) -> None:
    timeouts = f"timeouts: {{max_speech: {longest}}}"
    if is_fine:
        assert expectations(tmp_path, field=timeouts)["main/pin"].timeouts.max_speech_ms == 25000
        return
    with pytest.raises(PlanError, match=r"'max_speech': at most 25s") as caught:
        expectations(tmp_path, field=timeouts)
    assert "\n" not in str(caught.value)


DEAF = """\
forms:
  main:
    prompt: {say: Please order, barge_in: dtmf}
    phrases: [order]
    fields:
      town:
        type: text
        prompt: [{say: Where to, barge_in: MODE}, {say: again, barge_in: speech}]
        DTMF
    filled: {disconnect: done}
"""


@pytest.mark.parametrize(
    ("mode", "dtmf", "warned"),
    [
        ("dtmf", "dtmf: {max: 4}", [3]),
        ("dtmf", "dtmf: false", [3, 8]),
        ("speech", "dtmf: false", [3]),
    ],
)
def test_a_part_that_only_keys_interrupt_where_none_are_taken(
    tmp_path: Path, mode: str, dtmf: str, warned: list[int]
) -> None:
    plan = tmp_path / "p.yaml"
    plan.write_text(DEAF.replace("MODE", mode).replace("DTMF", dtmf), "utf-8")
    found = [problem for problem in check(plan) if "only keys may interrupt" in problem.message]
    assert [problem.line for problem in found] == warned
    assert all(problem.is_warning for problem in found)
