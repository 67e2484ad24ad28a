"""voicebot answers telephone calls.

Read the rooms in the order in which a caller's voice passes through them:

    telephony -> audio -> turns -> asr -> nlu -> dialogue -> speech -> telephony

`engine` advances all calls together, `pipeline` wires one call, `server` owns sockets
and processes. `events` holds the values that the rooms hand to each other.
"""
