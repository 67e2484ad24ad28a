"""Yes and no in all their forms, as phrase patterns."""

from voicebot.patterns import NO, YES

__all__ = ["NO", "YES"]
