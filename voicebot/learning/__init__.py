"""Training, by commands that anyone with recordings can repeat: `python -m voicebot.learning.X`.

near_end: the net behind turns/near_end.py. Weights go into the room that runs them, with a model
card beside them; which recordings were held out is decided by name (`corpus.is_held_out`).
"""
