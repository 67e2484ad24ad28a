"""Sockets and processes: the webhook, the media stream, admission, draining."""
