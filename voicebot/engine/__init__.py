"""Advances all calls together: slots, scheduler (pure), runner (arrays), engine (threads)."""
