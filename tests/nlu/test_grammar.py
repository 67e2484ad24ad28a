import pytest

from voicebot.nlu.grammar import PatternError, Trie, expand, expand_leniently, problem, slots_in

pytestmark = pytest.mark.unit


def phrases(pattern: str) -> set[str]:
    return {" ".join(words) for words in expand(pattern)}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("check my balance", {"check my balance"}),
        ("[my] savings", {"my savings", "savings"}),
        ("(iced|ice cold) mocha", {"iced mocha", "ice cold mocha"}),
        ("[a (bit|lot) of] milk", {"milk", "a bit of milk", "a lot of milk"}),
        ("one|two", {"one", "two"}),
        ("12 ounce", {"twelve ounce"}),
        ("lost my [{card}] card", {"lost my card", "lost my {card} card"}),
        ("{ amount }", {"{amount}"}),
        ("What's my BALANCE?", {"what's my balance"}),
        ("[a][b] c", {"c", "a c", "b c", "a b c"}),
    ],
)
def test_patterns_stand_for_phrases(pattern: str, expected: set[str]) -> None:
    assert phrases(pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("(a|b", "')' is missing"),
        ("[a", "']' is missing"),
        ("a)", "closes nothing"),
        ("(a]", "')' is missing"),
        ("send {}", "{name}"),
        ("send {amount", "{name}"),
        ("[please]?", None),
        ("[]", "no words"),
        ("", "no words"),
        ("(a|b|c|d|e|f) " * 8, "more than 512"),
    ],
)
def test_mistakes_are_said_in_one_line(pattern: str, complaint: str | None) -> None:
    found = problem(pattern)
    if complaint is None:
        assert found is None
    else:
        assert found is not None
        assert complaint in found
        assert "\n" not in found
        with pytest.raises(PatternError):
            expand(pattern)


def test_a_broken_pattern_still_stands_for_its_words() -> None:
    assert expand_leniently("(drip coffee") == (("drip", "coffee"),)


def test_slots_of_a_pattern() -> None:
    assert slots_in("send {amount} [to {to_account}]") == ("amount", "to_account")


def test_trie_shares_beginnings_and_lists_its_words() -> None:
    trie: Trie[str] = Trie()
    trie.add(("soy", "milk"), "soy milk")
    trie.add(("soy", "{x}"), "other")
    assert sorted(trie.words()) == ["milk", "soy"]
    node = trie.find(["soy", "milk"])
    assert node is not None
    assert node.meanings == ["soy milk"]
    assert trie.find(["milk"]) is None


@pytest.mark.parametrize("pattern", ["(" * 3000, "[" * 3000 + "a" + "]" * 3000])
def test_brackets_without_end_are_a_mistake_and_no_more(pattern):
    assert "brackets within brackets" in (problem(pattern) or "")
    assert isinstance(expand_leniently(pattern), tuple)
