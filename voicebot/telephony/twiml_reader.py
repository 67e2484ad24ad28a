"""Reads TwiML as Twilio would, as far as voicebot writes it; the simulator's half of twiml.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError, fromstring

from voicebot.telephony.twiml import MAX_BYTES


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """<Connect action><Stream url> and its parameters."""

    url: str
    action_url: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Course:
    """What a document makes of the call until it hands it over or ends it.

    `rest` holds the verbs after a <Connect>, which run if it has no action.
    """

    spoken: tuple[str, ...] = ()
    reject_reason: str | None = None
    stream: StreamOrder | None = None
    transfer_to: str | None = None
    rest: tuple[Element, ...] = ()
    unsupported: tuple[str, ...] = ()


def read(document: bytes | str) -> Course:
    """The course of a whole document. Raises ValueError, in one line, when it is not TwiML."""
    if len(document) > MAX_BYTES:
        raise ValueError(f"{len(document)} bytes of TwiML; Twilio takes {MAX_BYTES}")
    try:
        root = fromstring(document)  # noqa: S314 - small, and expat bounds entity expansion
    except (ParseError, ValueError) as error:
        raise ValueError(f"not XML: {error}") from None
    if root.tag != "Response":
        raise ValueError(f"<Response> expected, found <{root.tag[:40]}>")
    return follow(list(root))


def follow(verbs: Sequence[Element]) -> Course:
    """The course of these verbs."""
    spoken: list[str] = []
    unsupported: list[str] = []
    for index, verb in enumerate(verbs):
        if verb.tag == "Say":
            spoken.append((verb.text or "").strip())
        elif verb.tag == "Reject":
            reason = verb.get("reason", "rejected")
            return Course(tuple(spoken), reject_reason=reason, unsupported=tuple(unsupported))
        elif verb.tag == "Dial":
            destination = "".join(verb.itertext()).strip()
            return Course(tuple(spoken), transfer_to=destination, unsupported=tuple(unsupported))
        elif verb.tag == "Connect" and (stream := verb.find("Stream")) is not None:
            order = StreamOrder(
                stream.get("url", ""),
                verb.get("action"),
                {p.get("name", ""): p.get("value", "") for p in stream.iter("Parameter")},
            )
            rest = tuple(verbs[index + 1 :])
            return Course(tuple(spoken), stream=order, rest=rest, unsupported=tuple(unsupported))
        elif verb.tag == "Hangup":
            break
        elif verb.tag != "Pause":
            unsupported.append(verb.tag)
    return Course(tuple(spoken), unsupported=tuple(unsupported))
