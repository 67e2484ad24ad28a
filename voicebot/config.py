"""Settings, read once at the edge: environment variables `VOICEBOT_ROOM__NAME`, or `.env`.

Only `cli` and `server` build `Settings`; rooms take keyword arguments. The README's table
is tested against this module.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import pydantic_settings
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from voicebot.errors import SettingsError

PREFIX = "VOICEBOT_"


class _Room(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Positive = Annotated[int, Field(gt=0)]


def _header_safe(token: SecretStr | None) -> SecretStr | None:
    text = token.get_secret_value() if token is not None else ""
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be printable ASCII without blanks: it travels in a header")
    return token


class ServerSettings(_Room):
    """Sockets, limits and shutdown."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    public_url: str | None = Field(
        None, description="https URL under which Twilio reaches this server; signs requests"
    )
    api_token: SecretStr | None = Field(None, description="bearer token for /calls and /metrics")
    max_calls: Positive = Field(100, description="calls at once; more hear a busy signal")
    max_message_bytes: Positive = Field(65536, description="largest WebSocket message accepted")
    max_messages_per_s: Positive = Field(200, description="sustained messages per call and second")
    start_timeout_s: float = Field(5.0, gt=0, description="from handshake to the start message")
    idle_timeout_s: float = Field(30.0, gt=0, description="without any message on a live call")
    max_call_s: float = Field(3600.0, gt=0, description="longest call")
    token_ttl_s: float = Field(60.0, gt=0, description="life of a single-use stream token")
    drain_timeout_s: float = Field(
        120.0, ge=0, description="after SIGTERM, how long live calls may last"
    )

    @field_validator("api_token")
    @classmethod
    def _fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        return _header_safe(token)


class TwilioSettings(_Room):
    """Account data; all optional in development."""

    account_sid: str | None = Field(
        None, description="account SID, for telephony.call_control; calls need none"
    )
    auth_token: SecretStr | None = Field(
        None, description="auth token; when set, signatures are checked"
    )


NO_MODEL = "none"
"""Value of `dialogue.llm_service` that names no Pipecat service."""


class DialogueSettings(_Room):
    """The dialplan and what it may call."""

    dialplan: Path | None = Field(None, description="dialplan answered with; `--dialplan` wins")
    webhook_timeout_s: float = Field(5.0, gt=0, description="for one call-out")
    llm_service: str = Field(
        NO_MODEL,
        description="`none`, or the Pipecat LLM service behind a plan's `llm` forms, as "
        "`package.module:Class`",
    )
    llm_options: dict[str, Any] = Field(
        {}, description="keyword arguments of that service, as JSON; `settings` may be an object"
    )


LOCAL_RECOGNISER, NO_RECOGNISER = "local", "none"
OWN_SERVICES = frozenset({LOCAL_RECOGNISER, NO_RECOGNISER})
"""Values of `asr.service` that name no Pipecat service."""


class AsrSettings(_Room):
    """Recognition."""

    service: str = Field(
        LOCAL_RECOGNISER,
        description="`local`, `none` (keys only: nothing said is understood, no recogniser is "
        "loaded), or a Pipecat STT service as `package.module:Class` (its own settings from "
        "`asr.service_options`)",
    )
    service_options: dict[str, Any] = Field(
        {}, description="keyword arguments of that service, as JSON; `settings` may be an object"
    )
    model: str | None = Field(
        None,
        description="checkpoint to recognise with: a path, a name, or `shipped`; wins over "
        "`voicebot models use`",
    )
    cache_dir: Path = Field(
        Path(platformdirs.user_cache_dir("voicebot")),
        description="pulled models, the chosen one, prompts",
    )
    threads: int = Field(0, ge=0, description="CPU threads of the recogniser; 0: all but one")
    partial_interval_ms: Positive = Field(400, description="between partials of one call")
    text: Literal["spoken", "written"] = Field(
        "written",
        description="what the caller said, as journal and prints show it: as recognised, or "
        "`$250` for two hundred and fifty dollars; understanding always reads the words",
    )
    profanity: Literal["keep", "mask"] = Field(
        "keep", description="coarse words in that text, whole words only"
    )


class RecogniserSettings(_Room):
    """Recogniser processes (`voicebot asr-serve`), for both of their ends."""

    url: str | None = Field(
        None,
        description="replicas that recognise for this server, `ws://host:port`, separated by "
        "commas, or `file:PATH` of a file that lists them; empty: this process recognises",
    )
    token: SecretStr | None = Field(
        None, description="what front ends show to `voicebot asr-serve`; both sides need the same"
    )
    fallback: Literal["local", "keys"] = Field(
        "local",
        description="when no replica can be had: recognise here (loads the recogniser, too), or "
        "let only keys count",
    )

    @field_validator("token")
    @classmethod
    def _travels(cls, token: SecretStr | None) -> SecretStr | None:
        return _header_safe(token)


class HearingSettings(_Room):
    """Where calls are heard; what they hear is the same."""

    device: str = Field(
        "cpu",
        pattern=r"^(cpu|cuda(:\d+)?)$",
        description="computes echo, voice activity and in-band keys: `cpu`, or `cuda` (`cuda:N`) "
        "for more calls than cores can hear",
    )


class TurnsSettings(_Room):
    """Hearing and turn-taking."""

    hot_word_models: tuple[Path, ...] = Field(
        (), description="openWakeWord models (JSON list of paths) in place of `operator`"
    )
    inband_dtmf: bool = Field(
        False, description="hear keys in the audio, for trunks that do not signal them"
    )


class SpeechSettings(_Room):
    """The voice."""

    voice: str = Field(
        "espeak:en-us+steph",
        description="`espeak:VOICE`, or a Pipecat TTS service as `pipecat:package.module:Class`",
    )
    voice_options: dict[str, Any] = Field(
        {}, description="keyword arguments of that service, as JSON; `settings` may be an object"
    )
    words_per_minute: int = Field(165, ge=80, le=400, description="speaking rate (espeak)")
    ahead_ms: int = Field(400, ge=100, le=2000, description="audio sent ahead of the caller's ear")


class StoreSettings(_Room):
    """The record of calls."""

    journal: Path = Field(Path("runs/journal.sqlite"), description="SQLite file of calls and turns")
    recordings: bool = Field(False, description="keep stereo recordings")
    timelines: bool = Field(False, description="keep a timeline.jsonl per call (holds transcripts)")
    recordings_dir: Path = Field(Path("runs/calls"), description="one folder per call")


class MonitoringSettings(_Room):
    """Logs."""

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="threshold")
    log_personal_data: bool = Field(False, description="transcripts and numbers in logs")
    log_format: Literal["json", "console"] = Field("json", description="one JSON object a line")


class Settings(BaseSettings):
    """All settings. `environment=production` demands what a public server needs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
    )

    environment: Literal["development", "production"] = Field(
        "development", description="production demands auth token and public URL"
    )
    server: ServerSettings = ServerSettings()
    twilio: TwilioSettings = TwilioSettings()
    dialogue: DialogueSettings = DialogueSettings()
    asr: AsrSettings = AsrSettings()
    recogniser: RecogniserSettings = RecogniserSettings()
    hearing: HearingSettings = HearingSettings()
    turns: TurnsSettings = TurnsSettings()
    speech: SpeechSettings = SpeechSettings()
    store: StoreSettings = StoreSettings()
    monitoring: MonitoringSettings = MonitoringSettings()

    @model_validator(mode="after")
    def _production_is_complete(self) -> Settings:
        url = self.server.public_url
        if url is not None and not url.startswith(("https://", "http://")):
            raise ValueError(f"server.public_url: {url!r} must start with https://")
        if self.environment == "production":
            if self.twilio.auth_token is None:
                raise ValueError(
                    "environment=production needs VOICEBOT_TWILIO__AUTH_TOKEN "
                    "(Twilio console, Account info)"
                )
            if url is None or not url.startswith("https://"):
                raise ValueError(
                    "environment=production needs VOICEBOT_SERVER__PUBLIC_URL=https://... "
                    "(the address that Twilio calls)"
                )
        return self


def load_settings(**overrides: object) -> Settings:
    """Settings from environment, `.env` and overrides (nested dicts); SettingsError in one line.

    Unknown variables are a mistake where they look like settings of ours. Others beginning with
    VOICEBOT_ are let pass: orchestrators set some (VOICEBOT_SERVICE_HOST, VOICEBOT_PORT).
    """
    try:
        _check_names(_given())
        return Settings(**overrides)  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        raise SettingsError(_describe(error)) from None
    except pydantic_settings.SettingsError as error:
        # "error parsing value for field "asr" from source ...", caused by what json found.
        reason = f" ({error.__cause__})" if error.__cause__ else ""
        raise SettingsError(
            f"settings: a value is not valid JSON{reason}; "
            f"look at {', '.join(_json_variables()) or 'the environment'}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings: .env cannot be read ({error})") from None


def _describe(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    variable = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
    return f"settings: {where}: {message} (set {variable})" if where else f"settings: {message}"


def variable_names(model: type[BaseModel] | None = None, prefix: str = PREFIX) -> Iterator[str]:
    """The environment variables of all settings."""
    for name, field in (model or Settings).model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from variable_names(kind, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


def _given() -> list[str]:
    """Names in the environment and in `.env`."""
    return [*os.environ, *DotEnvSettingsSource(Settings).env_vars]


def _check_names(given: Iterable[str]) -> None:
    known = list(variable_names())
    rooms = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    plain = {name.replace("__", "_"): name for name in known}
    for variable in given:
        name = variable.upper()
        if not name.startswith(PREFIX) or name in known or name in rooms:
            continue
        if name.startswith(tuple(f"{option}__" for option in known)):
            continue  # a part of a setting that is a mapping
        near = [plain[name]] if name in plain else []
        if "__" in name:
            near = near or difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        elif not near:
            continue
        hint = f"; did you mean {near[0]}?" if near else "; the README lists all"
        raise SettingsError(f"settings: there is no {name}{hint}")


def _json_variables() -> list[str]:
    """Variables that hold JSON and are set."""
    names = [f"{PREFIX}ASR__SERVICE_OPTIONS", f"{PREFIX}SPEECH__VOICE_OPTIONS"]
    names += [f"{PREFIX}TURNS__HOT_WORD_MODELS"]
    names += [f"{PREFIX}{name.upper()}" for name in Settings.model_fields if name != "environment"]
    given = {name.upper() for name in _given()}
    return [name for name in names if name in given]
