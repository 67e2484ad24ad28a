import numpy as np
import pytest
import soundfile
import soxr

from voicebot.asr import quantise, wheel
from voicebot.asr.recogniser import Recogniser
from voicebot.asr.stream import Draft
from voicebot.asr.vocabulary import Vocabulary
from voicebot.events import Expectation, Hypothesis, SlotSpec, SlotType

pytestmark = pytest.mark.unit
RATE = 16000


def words(text):
    kept = "".join(c if c.isalnum() or c == "'" else " " for c in text.casefold())
    return kept.split()


def word_errors(reference, heard):
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (word != expected)),
            )
    return row[-1]


@pytest.fixture(scope="session")
def speech():
    """Ten seconds of Beckett that come with the weights, through an 8 kHz telephone."""
    samples, rate = soundfile.read(wheel.find_folder() / wheel.SPEECH, dtype="float32")
    return soxr.resample(soxr.resample(samples, rate, 8000), 8000, RATE)


def test_speech_becomes_words(recogniser, speech):
    [heard] = recogniser.transcribe([speech], nbest=3)
    assert words(heard.text) == words(
        "Ever tried ever failed no matter try again fail again fail better"
    )
    # 0.56 to 0.99 by where the audio is cut, in float32 too; the same voice backwards: below 0.1.
    [nonsense] = recogniser.transcribe([speech[::-1].copy()], nbest=3)
    assert nonsense.confidence < 0.35 < 0.5 < heard.confidence
    assert [word.text for word in heard.words] == heard.text.split()
    assert all(0 < word.confidence <= 1 for word in heard.words)
    assert heard.nbest[0].text == heard.text
    assert len({tuple(words(entry.text)) for entry in heard.nbest}) == len(heard.nbest)


def test_partials_and_batches_agree_with_single_utterances(recogniser, speech):
    batch = [speech[: 4 * RATE], speech, speech[5 * RATE :], speech[: 2 * RATE]]
    together = recogniser.transcribe(batch)
    alone = [recogniser.transcribe([samples])[0] for samples in batch]
    assert [t.text for t in together] == [a.text for a in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=0.02)


def test_nothing_to_hear_gives_an_empty_hypothesis_in_its_place(recogniser, speech):
    found = recogniser.transcribe(
        [np.zeros(0, np.float32), speech, np.zeros(RATE, np.float32), speech[:800]]
    )
    assert [found[0], found[2], found[3]] == [Hypothesis("")] * 3
    assert "better" in found[1].text
    assert recogniser.transcribe([]) == []


def test_long_audio_is_heard_to_its_end(recogniser, speech):
    pause = np.random.default_rng(0).normal(0, 1e-3, RATE).astype(np.float32)
    [heard] = recogniser.transcribe([np.concatenate([speech, pause] * 4)], nbest=2)
    text = words(heard.text)
    assert text.count("better") == 4
    assert text.count("tried") == 4
    assert len(heard.words) == len(heard.text.split())


def test_faulty_samples_do_not_spoil_the_rest(recogniser, speech):
    spoiled = speech.copy()
    spoiled[1000:1010] = np.nan
    spoiled[2000] = np.inf
    [heard] = recogniser.transcribe([spoiled])
    assert "matter" in heard.text


def test_max_tokens_shortens(recogniser, speech):
    [heard] = recogniser.transcribe([speech], max_tokens=3)
    assert 1 <= len(heard.words) <= 3


def test_noise_says_nothing(recogniser):
    generator = np.random.default_rng(0)
    noises = [generator.normal(0, rms, 2 * RATE).astype(np.float32) for rms in (1e-3, 1e-2, 0.1)]
    assert [h.text for h in recogniser.transcribe(noises, nbest=3)] == ["", "", ""]


def test_encoder_frames_come_with_each_utterance(recogniser, speech):
    short, nothing = speech[:16000], np.zeros(0, np.float32)
    frames = recogniser.encode([speech, nothing, short])
    assert [len(of_one) for of_one in frames] == [413, 0, 61]
    assert frames[1].shape[1] == frames[0].shape[1] == 288


def test_a_judge_sees_what_was_encoded_and_its_answer_comes_along(recogniser, speech):
    seen = []

    def judge(frames, samples):
        seen.extend(zip([len(of_one) for of_one in frames], samples, strict=True))
        return [0.25, None]

    heard = recogniser.transcribe([speech, np.zeros(16000, np.float32)], nbest=2, judge=judge)
    assert [one.end_probability for one in heard] == [0.25, None]
    assert heard[0].text == recogniser.transcribe([speech], nbest=2)[0].text
    assert seen[0] == (len(recogniser.encode([speech])[0]), len(speech))
    assert seen[1] == (0, 16000)


def test_what_was_read_is_neither_encoded_nor_decoded_again(recogniser, speech, monkeypatch):
    other, encode = speech[: 4 * RATE], recogniser.model.encoder.forward
    fresh = recogniser.transcribe([speech, other], nbest=3, judge=lambda *_: [0.5, 0.5])
    encoded = []

    def counted(samples, lengths=None):
        encoded.append(len(samples))
        return encode(samples, lengths)

    monkeypatch.setattr(recogniser.model.encoder, "forward", counted)
    drafts = [Draft(), Draft()]
    recogniser.transcribe([speech], drafts=drafts[:1])
    found = recogniser.transcribe(
        [speech, other], nbest=3, judge=lambda *_: [0.5, 0.5], drafts=drafts
    )
    assert sum(encoded) == 2, "one utterance each time"
    assert [one.text for one in found] == [one.text for one in fresh]
    assert [[w.start_at for w in one.words] for one in found] == [
        [w.start_at for w in one.words] for one in fresh
    ]
    again = recogniser.transcribe([speech, other], drafts=drafts)
    assert sum(encoded) == 2
    assert words(again[0].text) == words(fresh[0].text)
    [longer] = recogniser.transcribe([speech[: 6 * RATE]], drafts=drafts[:1])
    assert sum(encoded) == 3
    assert longer.text == recogniser.transcribe([speech[: 6 * RATE]])[0].text


def test_who_goes_on_is_not_searched_with_beams(recogniser, speech, monkeypatch):
    searched, search = [], recogniser._search
    monkeypatch.setattr(
        recogniser, "_search", lambda *of: searched.append(len(of[1])) or search(*of)
    )
    monkeypatch.setattr("voicebot.asr.recogniser.is_sure", lambda *_: False)
    unsure = speech[: 4 * RATE]
    batch = [unsure, unsure, unsure]

    def judge(frames, lengths):
        return [0.01, 0.9, None]

    goes_on, has_ended, unjudged = recogniser.transcribe(batch, nbest=3, judge=judge)
    assert searched == [2]
    assert goes_on.text == recogniser.transcribe([unsure])[0].text
    assert goes_on.end_probability == 0.01
    assert has_ended.text == unjudged.text
    assert len(has_ended.nbest) == len(unjudged.nbest) == 3
    answers = Expectation(focus="it", slots=(SlotSpec("it", SlotType.DIGITS, max_length=4),))
    recogniser.transcribe(batch, nbest=3, judge=judge, expectations=[answers] * 3)
    assert searched == [2, 3], "what is expected may pay for another answer"


def test_words_carry_no_times_where_nobody_wants_them(recogniser, speech):
    [timed] = recogniser.transcribe([speech], nbest=2, drafts=[Draft()])
    [plain] = recogniser.transcribe([speech], nbest=2, drafts=[Draft(is_timed=False)])
    assert None not in [word.start_at for word in timed.words]
    assert {(word.start_at, word.end_at) for word in plain.words} == {(None, None)}
    assert [word.text for word in plain.words] == [word.text for word in timed.words]


def test_int8_hears_what_float_hears(recogniser, speech, tmp_path_factory):
    exact = Recogniser(recogniser_cache(tmp_path_factory), 1, precision="float32")
    rounded = Recogniser(recogniser_cache(tmp_path_factory), 1, precision="int8")
    assert isinstance(rounded.model.encoder.layers[0].up, quantise.Int8Linear)
    assert rounded.transcribe([speech])[0].text == exact.transcribe([speech])[0].text


def recogniser_cache(factory):
    return factory.getbasetemp() / "recogniser"


def test_warm_up_runs_the_network_in_memory(small_model, small_weights):
    recogniser = Recogniser.of(small_model, Vocabulary(small_weights.tokens))
    ran = []
    hook = small_model.encoder.register_forward_hook(lambda *_: ran.append(True))
    recogniser.warm_up()
    hook.remove()
    assert len(ran) >= 2
    assert recogniser.cache_problem is None


@pytest.mark.recordings
def test_telephone_sentences(recogniser, phone_sentences):
    errors = total = 0
    for start in range(0, len(phone_sentences), 8):
        batch = phone_sentences[start : start + 8]
        found = recogniser.transcribe([samples for samples, _ in batch], nbest=4)
        for hypothesis, (_, text) in zip(found, batch, strict=True):
            errors += word_errors(words(text), words(hypothesis.text))
            total += len(words(text))
    assert len(phone_sentences) == 100
    assert errors / total <= 0.28


@pytest.mark.recordings
def test_confidence_separates_right_from_wrong(recogniser, phone_sentences):
    phone_sentences = phone_sentences[:16]
    found = recogniser.transcribe([samples for samples, _ in phone_sentences], nbest=4)
    right, wrong = [], []
    for hypothesis, (_, text) in zip(found, phone_sentences, strict=True):
        said = set(words(text))
        for word in hypothesis.words:
            (right if set(words(word.text)) <= said else wrong).append(word.confidence)
    assert len(wrong) > 5
    assert np.mean(right) > np.mean(wrong) + 0.15
