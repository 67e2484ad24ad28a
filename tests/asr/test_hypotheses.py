"""What a hypothesis is made of."""

import pytest

from voicebot.asr.confidence import is_invented, judge
from voicebot.asr.confidence_features import Piece, Sentence, Sound
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


def test_many_unsure_words_are_nothing_that_a_dialogue_can_use() -> None:
    """They were reported, with a confidence of 0.04."""
    words = ("you'll", "not", "keep", "a", "nook", "or", "some", "lamb")
    spans = tuple((at,) for at in range(len(words)))

    def said(log_prob: float) -> list[Piece]:
        readings = [words, *(("so", *words[at:]) for at in range(1, 7))]
        found = [
            Decoded(tuple(range(len(of))), (log_prob - 0.05 * (of != words),) * len(of), -0.5)
            for of in readings
        ]
        sentences = [
            Sentence(of, spans[: len(of)], one) for of, one in zip(readings, found, strict=True)
        ]
        return [Piece(sentences, Sound(4.0, -20.0, 30.0))]

    assert hypothesis_of(said(-0.3), 4).text == " ".join(words)
    doubtful = next(
        of
        for of in (said(-0.3 - step / 20) for step in range(20))
        if sum(judge(of).words) / len(words) < 0.3
    )
    assert not is_invented(judge(doubtful))
    assert hypothesis_of(doubtful, 4).text == ""
