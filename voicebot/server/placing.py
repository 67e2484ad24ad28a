"""Places a call as Twilio would, to a server of our own or a running one, and reports on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from voicebot.audio.files import read_mulaw
from voicebot.config import Settings
from voicebot.dialogue.plan import load_plan
from voicebot.errors import ServiceFailed, UserMistake
from voicebot.server.answering import in_process
from voicebot.speech.telephone import to_telephone
from voicebot.speech.voices import EspeakVoice
from voicebot.telephony.call_events import CallEvent
from voicebot.telephony.dialer import CallRecord, place_call
from voicebot.telephony.media_stream import DTMF_KEYS
from voicebot.telephony.simulator import CallerTurn, ScriptedCaller
from voicebot.telephony.simulator import TurnRecord as CallerTimes

CALLER_VOICE, CALLER_WORDS_PER_MINUTE = "en-us+Reed", 140
"""Sounds unlike the bot, and is among the voices that the recogniser understands best in whole
sentences; of single words it gets every other one wrong, as with all of espeak's voices."""
JOURNAL_WAIT_S = 5.0
"""How long to wait for the server to write down the end of the call."""
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Report:
    """One call, as the caller and the server's journal saw it."""

    call_sid: str
    end_reason: str
    outcome: str | None
    is_goal: bool
    slots: Mapping[str, str]
    greeting: str
    turns: Sequence[Mapping[str, Any]]
    connect_ms: float | None
    seconds: float
    transfer_to: str | None = None
    errors: Sequence[str] = ()
    record: CallRecord | None = field(default=None, repr=False)

    @property
    def is_answered(self) -> bool:
        """The bot spoke, and nothing broke the line."""
        has_spoken = self.record is None or self.record.greeting_ms is not None
        return has_spoken and self.end_reason in {"server_closed", "hung_up"}

    def as_dict(self) -> dict[str, Any]:
        """What `voicebot call --json` prints."""
        return {
            "call_sid": self.call_sid,
            "end_reason": self.end_reason,
            "outcome": self.outcome,
            "goal": self.is_goal,
            "slots": dict(self.slots),
            "transfer_to": self.transfer_to,
            "greeting": self.greeting,
            "turns": [dict(turn) for turn in self.turns],
            "connect_ms": _rounded(self.connect_ms),
            "seconds": round(self.seconds, 2),
            "errors": list(self.errors),
        }


async def place(
    settings: Settings,
    *,
    plan: Path | None,
    turns: Sequence[CallerTurn],
    url: str | None = None,
    live: Callable[[str], object] | None = None,
    on_event: Callable[[CallEvent], None] | None = None,
    **options: Any,
) -> Report:
    """Call `url`, or a server started for `plan`, and speak `turns` in order.

    `live` is told what takes a while, `on_event` what happens on the line. Raises UserMistake
    where the address or the plan cannot be used.
    """
    caller = ScriptedCaller(turns, patience_s=PATIENCE_S, hangs_up_after_last=True)
    token = settings.twilio.auth_token
    async with _server(settings, plan, url, live, **options) as base:
        try:
            record = await place_call(
                f"{base}/twilio/voice",
                caller=caller,
                auth_token=token.get_secret_value() if token else None,
                on_event=on_event,
            )
        except ServiceFailed as error:
            if url is None:
                raise
            raise UserMistake(f"--to: {error}; is it a voicebot server?") from None
        journal, remark = None, None
        if record.end_reason == "rejected":
            remark = "the server answers busy: it is full, loading or shutting down"
        elif record.connect_ms is not None:
            journal, remark = await _journal(settings, base, record.call_sid)
    return report(record, journal, [] if remark is None else [remark])


def server_url(text: str) -> str:
    """The base URL of a server as a person may write it; UserMistake when it cannot be one."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_good = is_good and parts.port != 0 and not any(map(str.isspace, url))
    except ValueError:  # a port beyond 65535, a bracket that is not closed
        is_good = False
    if not is_good:
        raise UserMistake(
            f"--to: {text!r} is no address of a server; give one such as http://127.0.0.1:8080"
        )
    return url.rstrip("/").removesuffix("/twilio/voice")


def caller_turn(kind: str, value: str, over_s: float | None = None) -> CallerTurn:
    """A turn of the script: a recording, a text in a synthetic voice, or keys.

    `kind`: audio, say or dtmf. Raises UserMistake (AudioFileError) for what cannot be spoken.
    """
    if kind == "audio":
        return CallerTurn(audio=read_mulaw(value), over_s=over_s, label=Path(value).name)
    if kind == "dtmf":
        wrong = "".join(sorted(set(value.upper()) - DTMF_KEYS))
        if wrong or not value:
            what = f"{wrong!r} in {value!r} is no key" if wrong else "no keys given"
            raise UserMistake(f"call: --dtmf: {what}; keys are 0-9, *, # and A-D")
        return CallerTurn(keys=value.upper(), over_s=over_s, label=value)
    if not value.strip():
        raise UserMistake("call: --say needs words; for a silent caller play a silent recording")
    voice = EspeakVoice(CALLER_VOICE, CALLER_WORDS_PER_MINUTE)
    audio = to_telephone(value, voice.render(value)).mulaw
    return CallerTurn(audio=audio, over_s=over_s, label=value)


def report(
    record: CallRecord, journal: Mapping[str, Any] | None, remarks: Sequence[str] = ()
) -> Report:
    """Join what the caller measured with what the server wrote down."""
    known = journal or {}
    turns = list(known.get("turns", ()))
    greeting = turns[0]["bot_text"] if turns and turns[0]["number"] == 0 else ""
    answered = [turn for turn in turns if turn["number"] > 0]
    return Report(
        call_sid=record.call_sid,
        end_reason=record.end_reason,
        outcome=known.get("outcome"),
        is_goal=bool(known.get("is_goal")),
        slots=known.get("slots") or {},
        greeting=greeting,
        turns=[_turn(turn, record) for turn in answered],
        connect_ms=record.connect_ms,
        seconds=record.seconds,
        transfer_to=record.transfer_to,
        errors=[*(f"{error.code}: {error.detail}" for error in record.errors), *remarks],
        record=record,
    )


def _turn(turn: Mapping[str, Any], record: CallRecord) -> dict[str, Any]:
    """One turn of the report; times are the caller's own where it can be told which they are."""
    measured = _measured(turn, record)
    response_ms, barge_in_ms = turn["response_ms"], turn["barge_in_ms"]
    timed_by = "server"
    if measured is not None and measured.response_ms is not None:
        timed_by, response_ms = "caller", measured.response_ms
        if not measured.keys:  # how soon a key cuts is told by the server alone
            barge_in_ms = measured.barge_in_ms
    return {
        "state": turn["state"],
        "by": turn["by"],
        "said": measured.label if measured else None,
        "heard": turn["caller_text"],
        "confidence": _rounded(turn["confidence"], 4),
        "intent": turn["intent"],
        "slots": {slot["name"]: slot["value"] for slot in turn["slots"]},
        "bot": turn["bot_text"],
        "bot_heard": turn["bot_heard_text"],
        "response_ms": _rounded(response_ms),
        "barge_in_ms": _rounded(barge_in_ms),
        "timed_by": timed_by,
    }


def _measured(turn: Mapping[str, Any], record: CallRecord) -> CallerTimes | None:
    """The caller's turn that ended when the server heard this one end."""
    end_at = turn["speech_end_at"] if turn["by"] == "speech" else turn["turn_end_at"]
    if end_at is None or turn["by"] not in {"speech", "dtmf"}:
        return None
    near = [
        (abs(spoken.speech_end_s - end_at / 8000), index, spoken)
        for index, spoken in enumerate(record.turns)
        if bool(spoken.keys) == (turn["by"] == "dtmf")
    ]
    best = min(near, default=None)
    return best[2] if best and best[0] < 1.0 else None


@asynccontextmanager
async def _server(
    settings: Settings,
    plan: Path | None,
    url: str | None,
    live: Callable[[str], object] | None,
    **options: Any,
) -> AsyncIterator[str]:
    loaded = load_plan(plan) if plan is not None else None  # also with `url`: a slip is told
    if url is not None:
        base = server_url(url)
        if live is not None:
            live(f"calling {base}")
        yield base
        return
    assert loaded is not None
    async with in_process(settings, loaded, live=live, **options) as base:
        yield base


async def _journal(
    settings: Settings, base: str, call_sid: str
) -> tuple[Mapping[str, Any] | None, str | None]:
    """The server's record of the call, once it is complete, or why there is none."""
    token = settings.server.api_token
    headers = {"authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    loop = asyncio.get_running_loop()
    until = loop.time() + JOURNAL_WAIT_S
    found: Mapping[str, Any] | None = None
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        while loop.time() < until:
            try:
                reply = await http.get(f"{base}/calls/{call_sid}")
            except httpx.HTTPError as error:
                return found, f"the server's journal cannot be read: {type(error).__name__}"
            if reply.status_code in {401, 403}:
                return None, (
                    "the server keeps what it heard to itself; set VOICEBOT_SERVER__API_TOKEN "
                    "to its API token"
                )
            if reply.status_code == 200:
                found = reply.json()
                if found and found.get("outcome") is not None:
                    return found, None
            await asyncio.sleep(0.05)
    return found, f"the server's journal has no end of this call within {JOURNAL_WAIT_S:g} s"


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
