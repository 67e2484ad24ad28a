"""One call as a Pipecat pipeline; `build.py` reads as the flow. Only Pipecat code lives here."""
