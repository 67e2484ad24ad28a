"""What a hypothesis is made of."""

import pytest

from voicebot.asr.confidence import Piece, Sentence, Sound
from voicebot.asr.decoder import Decoded
from voicebot.asr.hypotheses import hypothesis_of

pytestmark = pytest.mark.unit


def sentence(text: str, log_prob: float) -> Sentence:
    return Sentence((text,), ((0,),), Decoded((5,), (log_prob,), -0.1))


def test_alternatives_come_after_the_best_by_their_confidence() -> None:
    said = [sentence("One.", -0.2), sentence("won", -2.0), sentence("one", -2.5), sentence("w", -1)]
    heard = hypothesis_of([Piece(said, Sound(1.0, -20.0, 30.0))], 4)
    assert (heard.text, heard.nbest[0].text) == ("One.", "One.")
    assert [other.text for other in heard.nbest[1:]] == ["w", "won"], "'one' is the same words"
    sure = [other.confidence for other in heard.nbest]
    assert sure == sorted(sure, reverse=True)
