"""The JSON Schema of files of scenarios, with which editors complete keys."""

from __future__ import annotations

from typing import Any

from voicebot.server.scenarios import SCENARIO_KEYS, SUITE_KEYS, TURN_KEYS

_TEXT = {"type": ["string", "integer", "number"]}
_TEXTS = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
_TRUE = {"const": True}
_DURATION = {"type": "string", "pattern": r"^\d+(\.\d+)? ?(ms|s)$"}
_REPLY = {"type": "object"}
_OF_TURN: dict[str, Any] = {
    "silence": _TRUE,
    "hangup": _TRUE,
    "over": _DURATION,
    "sure": {"type": "number", "minimum": 0, "maximum": 1},
    "said": _TEXTS,
    "matches": _TEXTS,
    "not_said": _TEXTS,
    "slots": {
        "type": "object",
        "additionalProperties": {"type": ["string", "integer", "number", "null"]},
    },
    "goal": {"type": "boolean"},
    "within_ms": {"type": "integer", "minimum": 1},
}
_AROUND: dict[str, tuple[str, Any]] = {
    "plan": ("the plan; default: that of the same name", {"type": "string"}),
    "now": ("the caller's local time, such as 2026-11-20 10:30", {"type": "string"}),
    "parameters": ("of the call", {"type": "object", "additionalProperties": _TEXT}),
    "services": (
        "stand-ins: a reply, replies in turn, or {error: what went wrong}",
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [_REPLY, {"type": "array", "items": _REPLY, "minItems": 1}]
            },
        },
    ),
    "model": (
        "what a language model replies, as JSON text",
        {"type": "array", "items": {"type": "string"}},
    ),
    "voice": ("of the synthetic caller", {"type": "string"}),
    "spoken": ("speak it, in a synthetic voice", {"type": "boolean"}),
    "turns": ("what the caller does, and what must come of it", {"$ref": "#/$defs/Turns"}),
    "scenarios": (
        "calls by name",
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "anyOf": [{"$ref": "#/$defs/Turns"}, {"$ref": "#/$defs/Scenario"}]
            },
        },
    ),
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of PLAN.test.yaml."""
    turn = {
        name: {**_OF_TURN.get(name, _TEXT), "description": text} for name, text in TURN_KEYS.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "voicebot scenarios",
        **_mapping(_around(SUITE_KEYS), "scenarios"),
        "$defs": {
            "Scenario": _mapping(_around(SCENARIO_KEYS), "turns"),
            "Turns": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Turn"}},
            "Turn": {"anyOf": [{"type": "string", "minLength": 1}, _mapping(turn)]},
        },
    }


def _around(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {**_AROUND[name][1], "description": _AROUND[name][0]} for name in names}


def _mapping(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
        **({"required": list(required)} if required else {}),
    }
