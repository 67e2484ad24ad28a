"""What the person at the keyboard can mend."""


class LoadMistake(Exception):
    """What is wrong, where, and how to mend it, in one line; exit code 2."""
