"""One exception tree.

    VoicebotError
      UserMistake            one line for the person at the keyboard; exit code 2
        SettingsError        a setting that cannot be used
        PlanError            a dialplan mistake, with file:line
        AudioFileError       a file that is not readable audio
        ModelUnavailable     weights or a voice that are not there
      CapacityError          no slot, memory or time for another call (retryable)
      DeviceLost             an accelerator answers no more; another process may (retryable)
      RecognitionFailed      a batch failed; the call may try again (retryable)
      ServiceFailed          a call-out failed or timed out (retryable)
      HandshakeRefused       signature, token or start message not acceptable

A peer's fault on the wire is not an exception: telephony returns it as a value.
"""

from typing import Literal

Shortage = Literal["slots", "memory", "time", "device", "failures"]
"""Of what there is none left; or the device is lost, or every answer fails."""


class VoicebotError(Exception):
    """Base of all; `retryable` tells callers whether the same call may succeed later."""

    retryable = False


class UserMistake(VoicebotError):
    """What is wrong, where, and how to mend it, in one line."""


class SettingsError(UserMistake):
    """A setting that cannot be used."""


class PlanError(UserMistake):
    """A dialplan mistake; the message begins with file:line."""


class AudioFileError(UserMistake):
    """A file that is not readable audio."""


class ModelUnavailable(UserMistake):
    """Model weights or a voice that are not there."""


class CapacityError(VoicebotError):
    """There is no room for another call; `why` says of what, or what else is wrong."""

    retryable = True

    def __init__(self, *said: str, why: Shortage = "slots") -> None:
        super().__init__(*said)
        self.why = why


class DeviceLost(VoicebotError):
    """The accelerator answers no more: nothing in this process can use it again."""

    retryable = True


class RecognitionFailed(VoicebotError):
    """A recognition batch failed; its calls survive."""

    retryable = True


class ServiceFailed(VoicebotError):
    """A call-out failed or timed out."""

    retryable = True


class HandshakeRefused(VoicebotError):
    """Signature, stream token or start message not acceptable."""


class JournalClosed(VoicebotError):
    """The journal is not open, or no longer: the process is about to end."""
