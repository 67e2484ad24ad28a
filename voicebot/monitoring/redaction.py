"""What a log line may say. Without `log_personal_data` nothing that a caller said, keyed or is.

Three nets, one behind the other: marked keys are masked wherever they stand; values that are
not plain are named by their type; and in all other strings, runs of digits that could be a
telephone or card number are masked.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

MASK = "***"
PERSONAL_KEYS = frozenset(
    {
        *("text", "transcript", "partial", "hypothesis", "words", "nbest", "said", "heard"),
        *("caller_text", "spoken_text", "bot_text", "bot_heard_text", "prompt", "parts", "phrase"),
        *("digits", "keys", "key", "dtmf", "pin", "card", "account"),
        *("from_", "from", "to", "caller", "called", "phone", "number", "destination"),
        *("slots", "slot", "value", "values", "arguments", "parameters", "reply"),
        *("body", "payload", "form", "query", "token", "auth_token", "signature", "password"),
    }
)
_LONG_NUMBER = re.compile(r"(?<!\w)(?<!\d\.)\+?\d(?:[\s()-]{0,2}\d){6,}(?!\w)(?!\.\d)")
_FRAMES = 12


def redact(values: Mapping[str, Any], *, kept: frozenset[str] = frozenset()) -> dict[str, Any]:
    """`values` fit for a log; keys in `kept` (timestamps, identifiers) pass as they are."""
    return {
        key: value if key in kept else MASK if _is_personal(key, value) else _plain(value)
        for key, value in values.items()
    }


def describe_exception(error: BaseException) -> dict[str, Any]:
    """Type and places, innermost last, without messages or values: both may quote a caller."""
    described: dict[str, Any] = {
        "type": type(error).__qualname__,
        "at": _places(error.__traceback__),
    }
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        described["cause"] = {"type": type(cause).__qualname__, "at": _places(cause.__traceback__)}
    return described


def mask_numbers(text: str) -> str:
    """Telephone, card and account numbers masked; shorter numbers and identifiers stay."""
    return _LONG_NUMBER.sub(MASK, text)


def _is_personal(key: str, value: Any) -> bool:
    is_empty = value is None or (isinstance(value, str | tuple | list | dict) and not value)
    return key.lower() in PERSONAL_KEYS and not is_empty


def _plain(value: Any) -> Any:
    if isinstance(value, bool | float | None):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**12 else MASK
    if isinstance(value, str):
        return mask_numbers(value)
    if isinstance(value, Mapping):
        return redact({str(key): item for key, item in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return f"<{type(value).__name__}>"


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
