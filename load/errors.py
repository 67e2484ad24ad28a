"""What ends a run before its figures."""


class LoadMistake(Exception):
    """What is wrong, where, and how to mend it, in one line; exit code 2."""


class ServerFailed(Exception):
    """The server under test could not be measured: why, in one line; exit code 1."""
