"""Checks of call-outs: a Python function takes what its steps and tools give it.

The modules are read, not run; what a decorator makes of a function is not known, so decorated ones
are left alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from voicebot.dialogue.checks import Checker, did_you_mean
from voicebot.dialogue.flow import all_steps
from voicebot.dialogue.schema import PlanKeys, Service
from voicebot.dialogue.source import Key

OWN_HEADERS = frozenset(
    ("content-type", "content-length", "host", "idempotency-key", "transfer-encoding", "connection")
)
_SECRET = re.compile(r"authorization|cookie|token|secret|password|api-?key", re.IGNORECASE)
CALL_SID = "call_sid"
"""A parameter of this name gets the call's identifier, without being named in `with`."""


@dataclass(frozen=True, slots=True)
class _Parameters:
    """What a function takes by name."""

    file: str
    function: str
    names: tuple[str, ...]
    needed: frozenset[str]
    takes_any: bool

    def __str__(self) -> str:
        return f"{self.function}({', '.join(self.names)}) in {self.file}"


def check(checker: Checker, keys: PlanKeys) -> None:
    """Report arguments that a function lacks or does not take: such a call never succeeds; and
    headers that no webhook gets, or that hold a secret."""
    for name, service in keys.services.items():
        _check_headers(checker, ("services", name), service)
        if "{" in (service.webhook or ""):
            checker.report(
                ("services", name, "webhook"),
                "a webhook's URL holds no values; what the call knows goes along in 'with'",
            )
    trees: dict[Path, ast.Module | None] = {}
    known = {
        name: found
        for name, service in keys.services.items()
        if (found := _parameters(checker, service, trees)) is not None
    }
    if not known:
        return
    for key, step in all_steps(keys):
        if step.call in known and not _is_told(checker, key):
            _compare(checker, key, step.call, known[step.call], set(step.with_ or {}))
    for name, form in keys.forms.items():
        for tool, how in (form.llm.tools if form.llm is not None else {}).items():
            given = {*(how.with_ or {}), *(keys.services[tool].arguments or {})} if (
                tool in known) else set()  # fmt: skip
            if tool in known:
                _compare(checker, ("forms", name, "llm", "tools", tool), tool, known[tool], given)


def _check_headers(checker: Checker, key: Key, service: Service) -> None:
    if service.headers and service.webhook is None:
        checker.report((*key, "headers"), "'headers' go with 'webhook'; a function gets none")
    for name, text in (service.headers or {}).items():
        here: Key = (*key, "headers", name)
        if name.lower() in OWN_HEADERS:
            checker.report(here, f"header '{name}' is voicebot's own; take another one")
        elif _SECRET.search(name) and "env:" not in text:
            checker.report(
                here,
                f"header '{name}' holds a secret that whoever reads the plan sees; write "
                "env:NAME for a variable of the server's environment",
                is_warning=True,
            )


def _is_told(checker: Checker, key: Key) -> bool:
    """Whether the arguments are left out because something else is wrong with them."""
    return any(broken[: len(key) + 1] == (*key, "with") for broken in checker.broken)


def _compare(
    checker: Checker, key: Key, service: str, takes: _Parameters, given: Collection[str]
) -> None:
    missing = sorted(takes.needed - set(given))
    extra = [] if takes.takes_any else sorted(set(given) - set(takes.names))
    subject = f"service '{service}': {takes}"
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        instead = f"; it is given {', '.join(repr(name) for name in extra)}" if extra else ""
        checker.report((*key, "with"), f"{subject} needs {names}; add it to 'with'{instead}")
    elif extra:
        rest = [one for one in takes.names if one not in given]
        hint = did_you_mean(extra[0], rest) or (f"; it may take {', '.join(rest)}" if rest else "")
        checker.report((*key, "with"), f"{subject} takes no '{extra[0]}'{hint}")


def _parameters(
    checker: Checker, service: Service, trees: dict[Path, ast.Module | None]
) -> _Parameters | None:
    module, _, name = (service.python or "").partition(":")
    if not name:
        return None
    file = Path(checker.source.path).parent / f"{module.replace('.', '/')}.py"
    if file not in trees:
        trees[file] = _tree(file)
    tree = trees[file]
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return None if node.decorator_list else _of(file.name, node)
    return None


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None  # reported as such


def _of(file: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> _Parameters:
    given = node.args
    plain = [arg.arg for arg in (*given.posonlyargs, *given.args)]
    optional = set(plain[len(plain) - len(given.defaults) :]) if given.defaults else set()
    optional |= {a.arg for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d}
    names = [name for name in _names(given) if name != CALL_SID]
    return _Parameters(
        file,
        node.name,
        tuple(names),
        frozenset(set(names) - optional),
        takes_any=given.kwarg is not None,
    )


def _names(given: ast.arguments) -> Iterator[str]:
    yield from (arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs))
