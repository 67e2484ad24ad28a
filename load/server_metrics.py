"""The server's own counters before and after a run, read from its /metrics. Pure but `scrape`."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx

GAUGES = ("process_resident_memory_bytes",)
"""Reported at the end and as a change; counters only as a change."""
_SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(\{[^}]*\})?\s+(\S+)")
_COUNTER = re.compile(r"(_total|_count|_sum)$")


async def scrape(base_url: str, api_token: str | None) -> dict[str, float] | None:
    """Samples by name and labels; None when there is no /metrics or it is not ours to read."""
    headers = {"authorization": f"Bearer {api_token}"} if api_token else {}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
            response = await http.get(f"{base_url}/metrics", headers=headers)
    except httpx.HTTPError:
        return None
    return parse(response.text) if response.status_code == 200 else None


def parse(exposition: str) -> dict[str, float]:
    """Prometheus text format; lines that are no samples are skipped."""
    samples = {}
    for line in exposition.splitlines():
        match = _SAMPLE.match(line)
        if match is None:
            continue
        try:
            samples[match[1] + (match[2] or "")] = float(match[3])
        except ValueError:
            continue
    return samples


def change(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Counters that moved, by how much; gauges as they are and how they moved."""
    changes = {}
    for name, value in after.items():
        plain = name.partition("{")[0]
        moved = value - before.get(name, 0.0)
        if _COUNTER.search(plain) and moved and not plain.startswith("python_"):
            changes[name] = moved
        elif plain in GAUGES:
            changes[name] = value
            changes[name + " change"] = moved
    return changes
