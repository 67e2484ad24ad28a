"""The bank's data, as plain functions that bank.yaml calls, and as a webhook server.

    python dialplans/bank_backend.py --port 9000

answers `POST /balance` with the body `{"arguments": {"account": "savings"}}`, and so on for each
function. Data come from bank_data.json; what calls change lives as long as the process.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DATA = Path(__file__).with_name("bank_data.json")
MAX_BODY_BYTES = 65536


class Bank:
    """Accounts, branches and cards; calls come from several threads."""

    def __init__(self, data: Mapping[str, object]) -> None:
        self._lock = threading.Lock()
        self._accounts = {name: Decimal(str(sum_)) for name, sum_ in _mapping(data, "accounts")}
        self._branches = {name: dict(hours) for name, hours in _mapping(data, "branches")}
        self._customers = {number: dict(one) for number, one in _mapping(data, "customers")}
        self._blocked: dict[str, int] = {}
        self._next_reference = int(str(data["first_reference"]))

    def balance(self, account: str) -> dict[str, str]:
        """What is in an account."""
        with self._lock:
            return {"balance": f"{self._account(account):.2f}"}

    def transfer(self, source: str, target: str, amount: str) -> dict[str, str]:
        """Move money; status `done` or `insufficient`, and what is then available at the source."""
        with self._lock:
            available, moved = self._account(source), _amount(amount)
            self._account(target)
            if source == target:
                raise ValueError("source and target are the same account")
            if moved > available:
                return {"status": "insufficient", "available": f"{max(available, 0):.2f}"}
            self._accounts[source] -= moved
            self._accounts[target] += moved
            return {"status": "done", "available": f"{self._accounts[source]:.2f}"}

    def branch_hours(self, branch: str, weekday: str) -> dict[str, object]:
        """When a branch is open on a weekday such as `monday`."""
        if branch not in self._branches:
            raise ValueError(f"no branch {branch!r}")
        opens, closes = self._branches[branch].get(weekday, ("", ""))
        return {"is_open": bool(opens), "opens": opens, "closes": closes}

    def block_card(self, card: str) -> dict[str, str]:
        """Block a card; the same card again gives the same reference number."""
        with self._lock:
            if card not in self._blocked:
                self._blocked[card] = self._next_reference
                self._next_reference += 1
            return {"reference": str(self._blocked[card])}

    def identify(self, customer: str, born: str) -> dict[str, bool]:
        """Whether a customer number and a date of birth belong together."""
        known = self._customers.get(customer)
        return {"is_known": known is not None and known["born"] == born}

    def new_pin(self, customer: str) -> dict[str, str]:
        """Have a new PIN sent; nobody is told it on the telephone."""
        if customer not in self._customers:
            raise ValueError("no such customer")
        return {"days": "3"}

    def _account(self, name: str) -> Decimal:
        if name not in self._accounts:
            raise ValueError(f"no account {name!r}")
        return self._accounts[name]


def _mapping(data: Mapping[str, object], key: str) -> list[tuple[str, dict[str, list[str]]]]:
    value = data[key]
    return list(value.items()) if isinstance(value, dict) else []


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount") from None
    if not amount.is_finite() or amount <= 0:
        raise ValueError("the amount must be more than zero")
    return amount


_bank = Bank(json.loads(DATA.read_text(encoding="utf-8")))


def balance(account: str) -> dict[str, str]:
    """See Bank.balance."""
    return _bank.balance(account)


def transfer(source: str, target: str, amount: str) -> dict[str, str]:
    """See Bank.transfer."""
    return _bank.transfer(source, target, amount)


def branch_hours(branch: str, weekday: str) -> dict[str, object]:
    """See Bank.branch_hours."""
    return _bank.branch_hours(branch, weekday)


def block_card(card: str) -> dict[str, str]:
    """See Bank.block_card."""
    return _bank.block_card(card)


def identify(customer: str, born: str) -> dict[str, bool]:
    """See Bank.identify."""
    return _bank.identify(customer, born)


def new_pin(customer: str) -> dict[str, str]:
    """See Bank.new_pin."""
    return _bank.new_pin(customer)


FUNCTIONS: dict[str, Callable[..., Mapping[str, object]]] = {
    "balance": balance,
    "transfer": transfer,
    "branch_hours": branch_hours,
    "block_card": block_card,
    "identify": identify,
    "new_pin": new_pin,
}


def answer(path: str, body: bytes) -> tuple[int, Mapping[str, object]]:
    """HTTP status and JSON reply to a webhook call."""
    function = FUNCTIONS.get(path.strip("/"))
    if function is None:
        return 404, {"error": f"no function {path!r}; there are {', '.join(FUNCTIONS)}"}
    try:
        request = json.loads(body)
        arguments = request.get("arguments") if isinstance(request, dict) else None
        if not isinstance(arguments, dict):
            raise ValueError('the body must be a JSON object with "arguments"')
        texts = {name: str(value) for name, value in arguments.items()}
        inspect.signature(function).bind(**texts)
        return 200, function(**texts)
    except (ValueError, TypeError, RecursionError) as error:
        return 400, {"error": str(error)}


class Handler(BaseHTTPRequestHandler):
    """POST /function with `{"arguments": {...}}`."""

    timeout = 10

    def do_POST(self) -> None:
        """Answer one call."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self._reply(413, {"error": f"a body of at most {MAX_BODY_BYTES} bytes is needed"})
            return
        self._reply(*answer(self.path, self.rfile.read(int(length))))

    def _reply(self, status: int, value: Mapping[str, object]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Arguments are personal data: nothing is logged."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="the example bank as a webhook server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0 picks a free one")
    options = parser.parse_args()
    try:
        server = ThreadingHTTPServer((options.host, options.port), Handler)
    except OSError as error:
        raise SystemExit(f"cannot listen on port {options.port}: {error.strerror}") from None
    with server:
        print(f"bank backend on http://{options.host}:{server.server_port}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
