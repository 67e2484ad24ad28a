"""What `voicebot serve` is made of: models loaded once, and a call run for each caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, TypeVar, cast

import structlog
from starlette.applications import Starlette

from voicebot.asr.record_text import RecordText
from voicebot.config import NO_MODEL, OWN_SERVICES, Settings
from voicebot.dialogue.plan import Plan, load_plan
from voicebot.engine.ears import make_runner, make_spotter
from voicebot.engine.hearing_rooms import DeviceWatch
from voicebot.engine.runner import Runner
from voicebot.engine.spotting import Spotter
from voicebot.errors import SettingsError
from voicebot.monitoring.logs import bind_call, configure_logging
from voicebot.monitoring.metrics import Metrics
from voicebot.pipeline.language_model import LanguageModel
from voicebot.pipeline.services import Factory, load_service
from voicebot.server import hot_word, models
from voicebot.server.admission import AdmittedCall
from voicebot.server.app import create_app
from voicebot.server.asr_serve_use import check as check_recogniser
from voicebot.server.asr_serve_use import loads_recogniser, open_engine
from voicebot.server.call import CallParts, plan_folder, render_ahead, run_call, understand_ahead
from voicebot.server.call_observer import CallObserver, Keeping
from voicebot.server.directory import CallDecision
from voicebot.server.gathering import Gathering
from voicebot.server.hearing_watch import HearingWatch
from voicebot.server.loop_rest import rests
from voicebot.server.media_socket import MediaSocket
from voicebot.server.memory import keep_memory_flat
from voicebot.server.recognisers import load_recogniser
from voicebot.server.services import Services
from voicebot.server.serving import running_server, serve
from voicebot.server.voice import make_prompts
from voicebot.store.journal import Journal
from voicebot.store.recordings import StereoRecording
from voicebot.store.records import CallStart
from voicebot.store.timeline import Timeline
from voicebot.telephony.media_stream import MediaStream
from voicebot.telephony.twiml import LOOPBACK_HOSTS

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser

log = structlog.get_logger(__name__)
Tap = Callable[[object], None]
T = TypeVar("T")


class Answering:
    """Everything that the calls of one process share; `open` loads it, `run_call` uses it."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        *,
        live: Callable[[str], object] | None = None,
        tap: Tap | None = None,
        folder: Path | None = None,
        now: datetime | None = None,
        stand_ins: Mapping[str, Callable[..., object]] | None = None,
    ) -> None:
        """`live` is told the progress of loading; `tap` sees every call's events; `folder`
        keeps the one call that is made there (`voicebot demo`) whatever the settings say. `now`
        and `stand_ins`, for services, are what a scenario says (`voicebot test`)."""
        self._settings = settings
        self._plan = plan
        self._say = live or (lambda text: None)
        self._tap = tap
        self._folder = folder
        self._now, self._stand_ins = now, stand_ins
        self.metrics = Metrics()
        self._watch = HearingWatch(self.metrics)
        self.journal = Journal(settings.store.journal)
        self._parts: CallParts | None = None
        self._gathering = Gathering()

    @asynccontextmanager
    async def open(self, app: Starlette) -> AsyncIterator[None]:
        """Load models, voice and services; close them at the end."""
        settings, plan = self._settings, self._plan
        check_recogniser(settings)
        if settings.store.recordings or settings.store.timelines:
            _check_folder(settings.store.recordings_dir)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.journal)
            services = Services(
                plan.services,
                plan_folder(plan),
                settings.dialogue.webhook_timeout_s,
                stand_ins=self._stand_ins,
            )
            stack.push_async_callback(services.aclose)
            self._say("loading the recogniser and the voice ...")
            recogniser = await asyncio.to_thread(_load_recogniser, settings)
            own, *others = plan.languages
            prompts, tts = await asyncio.to_thread(make_prompts, settings, own, others)
            await asyncio.to_thread(understand_ahead, plan)
            if tts is None:
                await asyncio.to_thread(render_ahead, prompts, plan)
            spotter = make_spotter(
                settings.turns.hot_word_models, settings.asr.cache_dir / models.FOLDER
            )
            runner = await asyncio.to_thread(
                _make_runner, settings, recogniser, spotter, self._watch
            )
            self._watch.follow(runner.hearing)
            engine = await stack.enter_async_context(
                open_engine(settings, runner, recogniser, self.metrics)
            )
            self._gathering = Gathering(engine.pace, engine.step)
            stack.enter_context(rests(lambda: engine.calls, self._gathering))
            try:
                hot_word.examine(settings, plan)
            except SettingsError as error:
                log.warning("the hot word cannot be heard", problem=str(error))
            stt = _load_stt(settings)
            model = load_model(settings)
            self._parts = CallParts(
                settings,
                plan,
                engine,
                prompts,
                services,
                spotter.threshold,
                stt,
                tts,
                model,
                self._now,
            )
            log.info("ready", plan=plan.name)
            yield

    def places(self) -> int | None:
        """How many calls can be served now; None: as many as the settings say."""
        return self._watch.places

    async def run_call(
        self, socket: MediaSocket, stream: MediaStream, admitted: AdmittedCall
    ) -> CallDecision:
        """One call, kept from its first to its last event."""
        parts = self._parts
        assert parts is not None, "calls are taken only while open"
        socket.gather(self._gathering)
        with bind_call(stream.call_sid):
            start = CallStart(
                call_sid=stream.call_sid,
                stream_sid=stream.stream_sid,
                from_=admitted.parameters.get("caller", ""),
                to=admitted.parameters.get("called", ""),
                dialplan=self._plan.name,
                started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            )
            observer = CallObserver(
                self._keeping(stream.call_sid),
                start,
                parts.prompts.text,
                self._tap,
                RecordText(self._settings.asr.text, self._settings.asr.profanity),
            )
            writing = asyncio.create_task(observer.run())
            log.info("call started")
            try:
                return await run_call(parts, observer, socket, stream, admitted)
            finally:
                await asyncio.shield(_finish(observer, writing))

    def _keeping(self, call_sid: str) -> Keeping:
        store = self._settings.store
        folder = self._folder or store.recordings_dir / call_sid
        keeps_audio = store.recordings or self._folder is not None
        keeps_times = store.timelines or self._folder is not None
        return Keeping(
            self.journal,
            self.metrics,
            _made(StereoRecording, folder / "recording.wav") if keeps_audio else None,
            _made(Timeline, folder / "timeline.jsonl") if keeps_times else None,
        )


def _made(make: Callable[[Path], T], path: Path) -> T | None:
    """A recording or timeline; a disk that is full now must not cost the caller the call."""
    try:
        return make(path)
    except SettingsError as error:
        log.error("call is not kept", problem=str(error))
        return None


def _check_folder(folder: Path) -> None:
    """A folder that cannot be written is said at the start, not at every call."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingsError(
            f"store.recordings_dir: {folder} cannot be written ({error.strerror}); "
            "set VOICEBOT_STORE__RECORDINGS_DIR to a folder that can"
        ) from None


async def _finish(observer: CallObserver, writing: asyncio.Task[None]) -> None:
    observer.close()
    await writing


def _make_runner(
    settings: Settings,
    recogniser: Recogniser | None,
    spotter: Spotter,
    watch: DeviceWatch,
) -> Runner:
    return make_runner(
        settings.server.max_calls,
        recogniser,
        hot_word=spotter,
        judges_by_sound=settings.asr.service not in OWN_SERVICES,
        has_inband_keys=settings.turns.inband_dtmf,
        device=settings.hearing.device,
        watch=watch,
    )


def _load_stt(settings: Settings) -> Factory | None:
    """The Pipecat service that recognises in our recogniser's place, where one is configured."""
    if settings.asr.service in OWN_SERVICES:
        return None
    return load_service("asr.service", settings.asr.service, settings.asr.service_options)


def load_model(settings: Settings) -> LanguageModel | None:
    """The Pipecat service behind the plan's `llm` forms, where one is configured."""
    chosen = settings.dialogue
    if chosen.llm_service == NO_MODEL:
        return None
    make = load_service("dialogue.llm_service", chosen.llm_service, chosen.llm_options)
    return LanguageModel(cast("Callable[[], Any]", make))


def _load_recogniser(settings: Settings) -> Recogniser | None:
    if not loads_recogniser(settings):
        return None
    recogniser = load_recogniser(settings)
    if recogniser.cache_problem is not None:
        log.warning("weights are converted at each start", problem=recogniser.cache_problem)
    recogniser.warm_up()
    return recogniser


# ---------------------------------------------------------------- processes


def serve_calls(settings: Settings, plan_path: Path) -> int:
    """`voicebot serve`: returns the exit code once drained."""
    keep_memory_flat()
    plan = load_plan(plan_path)
    configure_logging(
        settings.monitoring.log_level,
        settings.monitoring.log_format,
        log_personal_data=settings.monitoring.log_personal_data,
    )
    answering = Answering(settings, plan)
    app = create_app(
        settings,
        run_call=answering.run_call,
        metrics=answering.metrics,
        journal=answering.journal,
        lifespan=answering.open,
        places=answering.places,
    )
    return serve(app, settings, announce=lambda url: print(console_hint(settings, plan, url)))


def console_hint(settings: Settings, plan: Plan, url: str) -> str:
    """What to enter in Twilio's console."""
    public = (settings.server.public_url or "https://YOUR-PUBLIC-ADDRESS").rstrip("/")
    lines = [
        f"voicebot answers with {plan.name!r} on {url}",
        "In Twilio's console, Phone Numbers > your number > Voice configuration:",
        f"  A call comes in:      Webhook, {public}/twilio/voice, HTTP POST",
        f"  Call status changes:  {public}/twilio/status, HTTP POST",
    ]
    if settings.server.public_url is None:
        lines.append(
            "Twilio needs a public https address that leads here; "
            "set it as VOICEBOT_SERVER__PUBLIC_URL"
        )
    is_ours_alone = settings.server.host in LOOPBACK_HOSTS and settings.server.public_url is None
    if settings.twilio.auth_token is None and not is_ours_alone:
        lines.append(
            "Whoever reaches this address can place calls: signatures are not checked; "
            "set VOICEBOT_TWILIO__AUTH_TOKEN"
        )
    lines.append(f"Try it without Twilio:  voicebot call --to {url} --say 'hello'")
    return "\n".join(lines)


@asynccontextmanager
async def in_process(
    settings: Settings,
    plan: Plan,
    *,
    live: Callable[[str], object] | None = None,
    tap: Tap | None = None,
    folder: Path | None = None,
    now: datetime | None = None,
    stand_ins: Mapping[str, Callable[..., object]] | None = None,
) -> AsyncIterator[str]:
    """A server in this event loop on a free loopback port; yields its base URL."""
    server = settings.server.model_copy(update={"host": "127.0.0.1", "port": 0, "public_url": None})
    # What is asked of a public server does not concern one that only this process reaches.
    local = settings.model_copy(update={"server": server, "environment": "development"})
    answering = Answering(
        local, plan, live=live, tap=tap, folder=folder, now=now, stand_ins=stand_ins
    )
    async with running_server(
        local,
        run_call=answering.run_call,
        metrics=answering.metrics,
        journal=answering.journal,
        lifespan=answering.open,
        places=answering.places,
    ) as url:
        yield url
