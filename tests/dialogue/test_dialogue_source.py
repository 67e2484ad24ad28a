"""YAML as plans need it: lines, YAML 1.2 words, bounded size; every fault a problem."""

from pathlib import Path

import pytest

from voicebot.dialogue.source import MAX_BYTES, Source, parse_source, read_source

pytestmark = pytest.mark.unit


def parse(text: str) -> Source:
    return parse_source(text, Source("p.yaml"))


def only(source: Source) -> str:
    assert len(source.problems) == 1, source.problems
    return str(source.problems[0])


def test_values_and_lines() -> None:
    source = parse("a: 1\nb:\n  - x\n  - {c: 2.5, d: 'no'}\n")
    assert source.problems == []
    assert source.data == {"a": 1, "b": ["x", {"c": 2.5, "d": "no"}]}
    assert source.line(("b",)) == 2
    assert source.line(("b", 1, "d")) == 4
    assert source.line(("b", 1, "d", "missing")) == 4
    assert source.line(("nowhere",)) == 1


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "NO", "12:30", "007", "1_000", "1e3"])
def test_words_stay_words(word: str) -> None:
    assert parse(f"a: {word}").data == {"a": word}


def test_constants() -> None:
    assert parse("a: [true, false, null, ~, '', 0, -7]").data == {
        "a": [True, False, None, None, "", 0, -7]
    }


def test_merge_keys_and_aliases() -> None:
    source = parse("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n")
    assert source.data == {"base": {"x": 1, "y": 2}, "use": {"x": 1, "y": 3}}


def test_duplicate_key() -> None:
    assert only(parse("a: 1\nb: 2\na: 3\n")) == (
        "p.yaml:3: key 'a' stands twice (first in line 1); remove one"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "p.yaml:1: the file is empty; a plan begins with 'forms:'"),
        ("# only a comment\n", "p.yaml:1: the file is empty; a plan begins with 'forms:'"),
        ("a:\n\tb: 1\n", "p.yaml:2: not valid YAML: a tab cannot indent YAML; use spaces"),
        ("a: b: c\n", "p.yaml:1: not valid YAML: a ': ' too many; put text that holds a colon in"),
        ("a: [1, 2\nb: 3\n", "p.yaml:2: not valid YAML: "),
        ("a: 'x\n", "p.yaml:1: not valid YAML: "),
        ("- a\n- b\n", "p.yaml:1: a plan is a mapping of keys; it begins with 'forms:'"),
        ("just text", "p.yaml:1: a plan is a mapping of keys"),
        ("? [a, b]\n: c\n", "p.yaml:1: a key must be plain text"),
        ("a: \x07\n", "p.yaml:1: not valid YAML: holds a character that is not allowed"),
        ("a: {b: Who?}\n", "p.yaml:1: not valid YAML: text with '?' inside {...} or [...] must"),
        ("a: *nobody\n", "p.yaml:1: not valid YAML: found undefined alias"),
        ("a: &x [*x]\n", "p.yaml:1: nested deeper than 40 levels"),
        ("a: " + "[" * 100_000, "p.yaml:1: nested deeper than 40 levels"),
        ("a: !!python/object:os.system {}\n", None),
        ("a: 1\n---\nb: 2\n", "p.yaml:2: not valid YAML: "),
    ],
)
def test_faults(text: str, problem: str | None) -> None:
    source = parse(text)
    if problem is None:  # tags are not obeyed: nothing is built but plain values
        assert source.data == {"a": {}}
    else:
        assert only(source).startswith(problem)


def test_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than 20000 values" in only(parse("\n".join(lines)))


def test_files(tmp_path: Path) -> None:
    missing = only(read_source(tmp_path / "none.yaml"))
    assert missing.endswith(
        "none.yaml:1: cannot be read: No such file or directory; check the path"
    )
    assert "is a folder" in only(read_source(tmp_path))
    plan = tmp_path / "plan.yaml"
    plan.write_bytes(b"a: 1\nb: \xff\n")
    assert only(read_source(plan)) == f"{plan}:2: is not UTF-8 text; save the file as UTF-8"
    plan.write_bytes(b"#" * (MAX_BYTES + 1))
    assert "is larger than 256 KiB" in only(read_source(plan))
    plan.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_source(plan).data == {"a": 1, "b": 2}
    assert "cannot be read" in only(read_source("with\0nul"))
