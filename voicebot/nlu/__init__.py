"""Understanding: what recognised words or keys mean, given what the dialogue waits for.

    text -> phonetics -> lexicon -> matcher ---> segmenter -> interpreter
       \\--> numbers, entities, dates ------------/

`interpreter.interpret`, `keys.interpret_keys` and `completeness.completeness` are the doors.
"""
