"""The dialogue: a plan in YAML, and the machine that conducts a call by it."""
