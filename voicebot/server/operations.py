"""What operators and their tools read: health, metrics, the record of a call."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from voicebot.errors import JournalClosed
from voicebot.server.drain import Drain
from voicebot.server.forms import CALL_SID
from voicebot.server.gate import Gate
from voicebot.server.ports import Journal, Metrics


class Operations:
    """Read-only endpoints; nothing of a call without permission."""

    def __init__(self, gate: Gate, drain: Drain, metrics: Metrics, journal: Journal | None) -> None:
        self._gate = gate
        self._drain = drain
        self._metrics = metrics
        self._journal = journal

    async def healthz(self, request: Request) -> Response:
        """The event loop runs."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Models are loaded and calls are taken: 200, else 503; the body names the phase."""
        status = 200 if self._drain.is_accepting else 503
        return JSONResponse({"phase": self._drain.phase.value}, status)

    async def metrics(self, request: Request) -> Response:
        """Counters for Prometheus."""
        if not self._gate.may_read_metrics(request):
            return self._closed()
        body, content_type = self._metrics.exposition()
        return Response(body, headers={"content-type": content_type})

    async def call(self, request: Request) -> Response:
        """What the journal holds of one call."""
        if not self._gate.may_read_calls(request):
            return self._closed()
        call_sid = request.path_params["call_sid"]
        record = None
        if self._journal is not None and CALL_SID.fullmatch(call_sid):
            try:
                record = await self._journal.call(call_sid)
            except JournalClosed:  # asked while the server stops
                return JSONResponse({"error": "the server is stopping"}, 503)
        if record is None:
            return JSONResponse({"error": "no such call"}, 404)
        return JSONResponse(record)

    def _closed(self) -> Response:
        self._metrics.refused("operations", "no permission")
        if self._gate.wants_token:
            return JSONResponse(
                {"error": "bearer token missing or wrong"},
                401,
                headers={"www-authenticate": "Bearer"},
            )
        return JSONResponse({"error": "set VOICEBOT_SERVER__API_TOKEN to read this"}, 403)
