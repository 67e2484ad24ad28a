import pytest

from voicebot.asr.vocabulary import Vocabulary

pytestmark = pytest.mark.unit

TOKENS = [b"<unk>", b"<s>", b"</s>", "▁Hel".encode(), b"lo", b",", "▁wor".encode(), b"ld"]
TOKENS += [b"<<ST_7>>", "▁".encode(), b"\xe2", b"\x99\xaa", "▁caf".encode(), b"\xc3", b"\xa9"]
TOKENS += ["▁ลาง".encode(), b"\x00"]
VOCABULARY = Vocabulary(TOKENS)


def test_pieces_become_words_and_know_their_tokens():
    assert VOCABULARY.words([3, 4, 5, 6, 7]) == [("Hello,", [0, 1, 2]), ("world", [3, 4])]


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([], ""),
        ([0, 1, 8, 2], ""),
        ([4, 8, 7], "lold"),
        ([12, 13, 14], "café"),
        ([12, 13], "caf"),  # cut within a character
        ([9, 10, 11], ""),  # a music note
        ([3, 4, 15], "Hello"),  # another script
        ([9, 5, 6, 7], "world"),  # a comma alone is no word
        ([3, 16, 4], "Hello"),
    ],
)
def test_text(ids, text):
    assert VOCABULARY.text(ids) == text
