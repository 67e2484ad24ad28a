"""The ASGI application: Twilio's webhooks, the media stream, health, metrics, calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from voicebot.config import Settings
from voicebot.server.admission import Admission
from voicebot.server.directory import CallDirectory
from voicebot.server.drain import Drain
from voicebot.server.gate import Gate
from voicebot.server.limits import StreamLimits
from voicebot.server.media import Calls
from voicebot.server.operations import Operations
from voicebot.server.ports import Journal, Metrics, RunCall
from voicebot.server.webhooks import Webhooks

DECISIONS_REMEMBERED_PER_PLACE = 20
PENDING_HANDSHAKES = 100
"""Media streams whose start message has not come, beyond the admitted calls."""

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_app(
    settings: Settings,
    *,
    run_call: RunCall,
    metrics: Metrics,
    journal: Journal | None = None,
    lifespan: Lifespan | None = None,
    places: Callable[[], int | None] = lambda: None,
) -> Starlette:
    """The application. `lifespan` loads what calls need; until it has, none are taken. `places`:
    see Admission.

    `app.state.drain` and `app.state.calls` are for whoever serves it.
    """
    limits = settings.server
    admission = Admission(limits.max_calls, limits.token_ttl_s, places=places)
    drain = Drain(limits.drain_timeout_s)
    calls = Calls(
        run_call=run_call,
        admission=admission,
        directory=(directory := CallDirectory(DECISIONS_REMEMBERED_PER_PLACE * limits.max_calls)),
        metrics=metrics,
        limits=StreamLimits(
            messages_per_s=limits.max_messages_per_s,
            start_timeout_s=limits.start_timeout_s,
            idle_timeout_s=limits.idle_timeout_s,
            max_call_s=limits.max_call_s,
        ),
        max_message_bytes=limits.max_message_bytes,
    )
    gate = Gate(settings, metrics)
    webhooks = Webhooks(gate, admission, directory, calls, drain, metrics)
    operations = Operations(gate, drain, metrics, journal)

    async def media(websocket: WebSocket) -> None:
        if not gate.admits_stream(websocket):
            await websocket.close()  # before accepting: the handshake is answered with 403
        elif calls.sockets >= limits.max_calls + PENDING_HANDSHAKES:
            metrics.refused("stream", "too many streams")
            await websocket.send_denial_response(Response(status_code=503))
        else:
            await calls.serve(websocket)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        async with lifespan(app) if lifespan is not None else _nothing_to_load():
            drain.started()
            try:
                yield
            finally:
                drain.stopped()
                await calls.end_all(within_s=1.0)

    app = Starlette(
        routes=[
            Route("/twilio/voice", webhooks.voice, methods=["GET", "POST"]),
            Route("/twilio/action", webhooks.action, methods=["GET", "POST"]),
            Route("/twilio/whisper", webhooks.whisper, methods=["GET", "POST"]),
            Route("/twilio/hold", webhooks.hold, methods=["GET", "POST"]),
            Route("/twilio/status", webhooks.status, methods=["GET", "POST"]),
            WebSocketRoute("/twilio/media", media),
            Route("/healthz", operations.healthz),
            Route("/readyz", operations.readyz),
            Route("/metrics", operations.metrics),
            Route("/calls/{call_sid}", operations.call),
        ],
        lifespan=life,
    )
    app.state.drain = drain
    app.state.calls = calls
    return app


@asynccontextmanager
async def _nothing_to_load() -> AsyncIterator[None]:
    yield
