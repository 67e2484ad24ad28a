"""Twilio's webhooks: a call comes in, its stream ended, it is handed over, its status changed."""

from __future__ import annotations

import asyncio

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from voicebot.errors import UserMistake
from voicebot.server.admission import Admission
from voicebot.server.directory import CallDecision, CallDirectory
from voicebot.server.drain import Drain
from voicebot.server.forms import BadRequest, TwilioRequest, read_parameters, validated
from voicebot.server.gate import Gate
from voicebot.server.media import Calls
from voicebot.server.ports import Metrics
from voicebot.telephony import twiml

APOLOGY = "We are sorry, we cannot help you at the moment. Please call again later."
NOBODY_ANSWERS = "We are sorry, nobody can take your call at the moment. Please call again later."
OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""CallStatus values after which Twilio asks nothing more."""
STATUSES = OVER | {"queued", "initiated", "ringing", "in-progress"}

log = structlog.get_logger(__name__)


class Webhooks:
    """Answers requests with TwiML. Bad requests get an HTTP status and one line."""

    def __init__(
        self,
        gate: Gate,
        admission: Admission,
        directory: CallDirectory,
        calls: Calls,
        drain: Drain,
        metrics: Metrics,
    ) -> None:
        self._gate = gate
        self._admission = admission
        self._directory = directory
        self._calls = calls
        self._drain = drain
        self._metrics = metrics

    async def voice(self, request: Request) -> Response:
        """An incoming call: open a media stream, or signal busy."""
        twilio = await self._accepted(request)
        if isinstance(twilio, Response):
            return twilio
        base_url = self._gate.base_url(request)
        if base_url is None:
            return self._refusal(BadRequest(400, "no usable Host header"))
        if not self._drain.is_accepting:
            return self._busy(twilio, self._drain.phase.value)
        known = {"caller": twilio.caller, "called": twilio.called}
        token = self._admission.issue(twilio.call_sid, known, _now())
        if token is None:
            return self._busy(twilio, "full")
        try:
            document = twiml.answer(
                self._gate.stream_url(base_url),
                f"{base_url}/twilio/action",
                {"token": token, **known},
                APOLOGY,
            )
        except UserMistake as mistake:
            self._admission.release(twilio.call_sid)
            log.error("call cannot be answered", call_sid=twilio.call_sid, problem=str(mistake))
            self._metrics.webhook("voice", "impossible")
            return _xml(twiml.say_and_hang_up(APOLOGY))
        self._directory.answered(twilio.call_sid)
        self._metrics.webhook("voice", "answered")
        return _xml(document)

    async def action(self, request: Request) -> Response:
        """The media stream is over: what comes next for the caller."""
        twilio = await self._accepted(request)
        if isinstance(twilio, Response):
            return twilio
        decision = await self._calls.decision(twilio.call_sid)
        if decision is None:
            self._metrics.webhook("action", "apology")
            return _xml(twiml.say_and_hang_up(APOLOGY))
        base_url = self._gate.base_url(request) or ""
        if decision.queue:
            self._metrics.webhook("action", "queue")
            return _xml(twiml.enqueue(decision.queue, f"{base_url}/twilio/hold"))
        if decision.transfer_to is None:
            self._metrics.webhook("action", "hang up")
            return _xml(twiml.hang_up())
        try:
            document = twiml.transfer(
                decision.transfer_to,
                fallback=NOBODY_ANSWERS,
                whisper_url=f"{base_url}/twilio/whisper" if decision.summary else None,
            )
        except UserMistake as mistake:
            log.error("transfer is impossible", call_sid=twilio.call_sid, problem=str(mistake))
            self._metrics.webhook("action", "apology")
            return _xml(twiml.say_and_hang_up(APOLOGY))
        self._metrics.webhook("action", "transfer")
        return _xml(document)

    async def whisper(self, request: Request) -> Response:
        """Somebody takes a transferred call: what it is about, before the caller is there."""
        twilio = await self._accepted(request)
        if isinstance(twilio, Response):
            return twilio
        parent = twilio.parameters.get("ParentCallSid", twilio.call_sid)
        decision = self._directory.known(parent)
        self._metrics.webhook("whisper", "unknown" if decision is None else "told")
        return _xml(twiml.say(decision.summary if decision is not None else ""))

    async def hold(self, request: Request) -> Response:
        """A caller waits in a queue: his place in it, then music."""
        twilio = await self._accepted(request)
        if isinstance(twilio, Response):
            return twilio
        decision = self._directory.known(twilio.call_sid) or CallDecision()
        position = twilio.parameters.get("QueuePosition", "")
        text = decision.hold_prompt
        if "{position}" in text:
            text = text.replace("{position}", position) if position.isdecimal() else ""
        self._metrics.webhook("hold", "waiting")
        return _xml(twiml.hold(text, decision.hold_music))

    async def status(self, request: Request) -> Response:
        """A status callback: counted; a call that is over frees what it holds."""
        twilio = await self._accepted(request)
        if isinstance(twilio, Response):
            return twilio
        status = twilio.parameters.get("CallStatus", "")
        if status not in STATUSES:
            return self._refusal(BadRequest(400, "CallStatus is missing or unknown"))
        if status in OVER:
            self._calls.forget(twilio.call_sid)
        self._metrics.webhook("status", status)
        log.info("call status", call_sid=twilio.call_sid, status=status)
        return Response(status_code=204)

    async def _accepted(self, request: Request) -> TwilioRequest | Response:
        parameters = await read_parameters(request)
        if isinstance(parameters, BadRequest):
            return self._refusal(parameters)
        posted = parameters if request.method == "POST" else None
        if not self._gate.admits_webhook(request, posted):
            return PlainTextResponse("signature missing or wrong\n", 403)
        twilio = validated(parameters)
        return self._refusal(twilio) if isinstance(twilio, BadRequest) else twilio

    def _refusal(self, bad: BadRequest) -> Response:
        self._metrics.refused("webhook", f"status {bad.status}")
        return PlainTextResponse(bad.reason + "\n", bad.status)

    def _busy(self, twilio: TwilioRequest, why: str) -> Response:
        self._metrics.webhook("voice", why)
        log.warning("call rejected", call_sid=twilio.call_sid, reason=why)
        return _xml(twiml.reject("busy"))


def _xml(document: str) -> Response:
    return Response(document, media_type="application/xml")


def _now() -> float:
    return asyncio.get_running_loop().time()
