"""Real people order coffee: the whole call in virtual time, with the real ears and dialplan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from virtual_time import run

from pipeline.bench import Script, call
from voicebot.asr.recogniser import Recogniser
from voicebot.audio.files import read_mulaw
from voicebot.engine.runner import Runner
from voicebot.events import Disconnect
from voicebot.speech.telephone import to_telephone
from voicebot.speech.voices import EspeakVoice
from voicebot.telephony.simulator import CallerTurn
from voicebot.turns.vad import SileroVad

BARISTA = Path(__file__).parents[2] / "dialplans" / "barista.yaml"
ORDERS = Path(__file__).parents[2].parent / "shared" / "audio" / "barista"

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.recordings,
    pytest.mark.skipif(not ORDERS.is_dir(), reason="needs the recordings in ../shared/audio"),
]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    recogniser = Recogniser(tmp_path_factory.getbasetemp() / "recogniser", threads=1)
    return Runner(8, SileroVad(8), recogniser)


def test_recorded_orders_are_taken_with_every_slot_right(runner: Runner) -> None:
    labels = json.loads((ORDERS / "labels.json").read_text())
    chosen = sorted(labels)[::32]  # ten, spread over the set
    yes = to_telephone("Yes.", EspeakVoice("en-us+Reed", 140).render("Yes.")).mulaw
    right = []
    for name in chosen:
        turns = [CallerTurn(audio=read_mulaw(ORDERS / f"{name}.flac")), CallerTurn(audio=yes)]
        done = run(call(BARISTA, Script(), runner=runner, turns=turns))
        if done.decision == Disconnect("ordered", is_goal=True):
            right.append(done.machine.slots == labels[name]["slots"])
    assert len(right) >= 9  # calls that reached the goal
    assert sum(right) >= 8
