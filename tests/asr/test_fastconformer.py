"""Parity with `transformers` on random weights, and of streaming with whole recordings."""

from dataclasses import replace

import pytest
import torch
from transformers import (
    NemotronAsrStreamingConfig,
    NemotronAsrStreamingFeatureExtractor,
    NemotronAsrStreamingForRNNT,
    ParakeetCTCConfig,
    ParakeetFeatureExtractor,
    ParakeetForCTC,
    ParakeetForTDT,
    ParakeetTDTConfig,
)

from voicebot.asr.fastconformer import FastConformerConfig
from voicebot.asr.fastconformer_names import build, hugging_face_naming
from voicebot.asr.fastconformer_stream import NEVER, ChunkShape, FastConformer, Streamer
from voicebot.asr.mel import MelFeatures
from voicebot.asr.transducer import Labels, ctc_labels
from voicebot.errors import UserMistake

pytestmark = pytest.mark.unit

CLASSES = 33
TINY = FastConformerConfig(
    mels=80,
    width=32,
    layers=3,
    heads=4,
    inner=64,
    stem_channels=8,
    vocabulary=CLASSES - 1,
    predictor_width=24,
    joint_width=24,
    left=6,
    has_ctc=False,
)
ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "subsampling_conv_channels": 8,
    "num_mel_bins": 80,
}


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """Weights far from symmetry: biases are zero and norms one after initialisation."""
    generator = torch.Generator().manual_seed(11)
    for parameter in model.parameters():
        parameter.data.add_(0.15 * torch.randn(parameter.shape, generator=generator))
    for name, parameter in model.named_parameters():
        if name.startswith(("decoder.", "joint.", "encoder_projector.")):
            # Labels that depend on the frame and on those before, rather than the same for ever.
            spread = 0.0 if parameter.dim() == 1 else 3 / parameter.shape[-1] ** 0.5
            parameter.data.copy_(spread * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.fixture(scope="module")
def nemotron() -> NemotronAsrStreamingForRNNT:
    config = NemotronAsrStreamingConfig(
        vocab_size=CLASSES,
        blank_token_id=CLASSES - 1,
        decoder_hidden_size=24,
        encoder_config=ENCODER | {"sliding_window": 7},
    )
    torch.manual_seed(1)
    reference = shaken(NemotronAsrStreamingForRNNT(config))
    with torch.no_grad():
        reference.joint.head.bias[-1] += 5.0  # blanks and labels in turn
    return reference


@pytest.fixture(scope="module")
def ours(nemotron) -> FastConformer:
    return build(TINY, nemotron.state_dict(), hugging_face_naming(is_streaming=True), "reference")


@pytest.fixture(scope="module")
def speech() -> tuple[torch.Tensor, torch.Tensor]:
    """Two recordings of noise whose level changes, and their lengths."""
    generator = torch.Generator().manual_seed(5)
    samples = 0.1 * torch.randn(2, 32000, generator=generator)
    samples *= torch.linspace(0, 40, 32000).sin().abs()
    lengths = torch.tensor([32000, 25555])
    samples[1, 25555:] = 0
    return samples, lengths


def relative(given: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((given - wanted).abs().max() / wanted.abs().max())


@torch.inference_mode()
def streamed(
    model: FastConformer, frames: int, samples: torch.Tensor, ends: torch.Tensor, hz: int = 16000
) -> torch.Tensor:
    """Chunk by chunk, in the middle of three slots; the first and last take no part."""
    shape = ChunkShape(frames, hz)
    streamer = Streamer(model, shape)
    state = streamer.allocate(4)
    active = torch.tensor([False, True, True, False])
    rows = torch.full((4, samples.shape[1] + shape.lead + 24000), float("nan"))
    rows[1:3] = 0
    rows[1:3, shape.lead : shape.lead + samples.shape[1]] = samples
    ends = torch.tensor([NEVER, *ends.tolist(), NEVER])
    found = []
    for begin in range(0, rows.shape[1] - shape.samples, shape.samples):
        chunk = rows[:, begin : begin + shape.samples]
        mel = streamer.hear(state, chunk, active, ends)
        found.append(streamer.encode(state, mel, active, ends))
    assert state.chunks.tolist() == [0, len(found), len(found), 0]
    return torch.cat(found, dim=1)[1:3]


# ---------------------------------------------------------------- features


@pytest.mark.parametrize("mels", [80, 128])
def test_features_are_nemos(speech, mels):
    samples, lengths = speech
    extractor = NemotronAsrStreamingFeatureExtractor(feature_size=mels)
    items = [row[:length].numpy() for row, length in zip(samples, lengths, strict=True)]
    expected = extractor(items, sampling_rate=16000, return_tensors="pt")
    frames, counts = MelFeatures(mels)(samples, lengths)
    assert counts.tolist() == expected.attention_mask.sum(-1).tolist() == [200, 159]
    torch.testing.assert_close(frames, expected.input_features[:, :200], rtol=1e-3, atol=1e-3)


def test_features_of_offline_models_are_normalised(speech):
    samples, lengths = speech
    items = [row[:length].numpy() for row, length in zip(samples, lengths, strict=True)]
    expected = ParakeetFeatureExtractor(feature_size=80)(
        items, sampling_rate=16000, return_tensors="pt"
    )
    frames, _ = MelFeatures(80, is_normalised=True)(samples, lengths)
    torch.testing.assert_close(frames, expected.input_features[:, :200], rtol=1e-3, atol=1e-3)


# ---------------------------------------------------------------- encoder


@pytest.mark.parametrize("lookahead", [0, 1, 2, 6])
def test_the_encoder_gives_what_transformers_gives(nemotron, ours, speech, lookahead):
    mel, counts = ours.features(*speech)
    mask = torch.arange(mel.shape[1]) < counts[:, None]
    with torch.inference_mode():
        expected = nemotron.encoder(mel, attention_mask=mask, num_lookahead_tokens=lookahead)
        frames, valid = ours.encoder(mel, counts, lookahead)
    assert valid.tolist() == expected.attention_mask.sum(-1).tolist()
    for row, wanted, count in zip(frames, expected.last_hidden_state, valid, strict=True):
        assert relative(row[:count], wanted[:count]) < 1e-4


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
def test_streaming_gives_what_offline_gives(ours, speech, frames):
    """More chunks than the ring has blocks, an end inside of a chunk, neighbours of NaN."""
    samples, lengths = speech
    with torch.inference_mode():
        expected, counts = ours.encoder(*ours.features(samples, lengths), frames - 1)
    found = streamed(ours, frames, samples, lengths)
    assert (found.shape[1] // frames) > TINY.left // frames + 1
    for row, wanted, count in zip(found, expected, counts, strict=True):
        assert relative(row[:count], wanted[:count]) < 1e-4


def test_streaming_gives_what_the_reference_streams(nemotron, ours, speech):
    """Chunk by chunk in both, with the reference's own caches."""
    mel, _ = ours.features(*speech)
    first, step = 1 + 8, 16
    parts = [mel[:, :first], *(mel[:, first:].split(step, dim=1))]
    keys, padding, expected = None, None, []
    with torch.inference_mode():
        for part in parts[:-1]:
            told = nemotron.encoder(
                part,
                past_key_values=keys,
                padding_cache=padding,
                use_cache=True,
                num_lookahead_tokens=1,
            )
            keys, padding = told.past_key_values, told.padding_cache
            expected.append(told.last_hidden_state)
    expected = torch.cat(expected, dim=1)
    found = streamed(ours, 2, speech[0], torch.tensor([NEVER, NEVER]))
    assert relative(found[:1, : expected.shape[1]], expected[:1]) < 1e-4


def test_narrowband_streams_as_its_upsampled_whole(ours, speech):
    narrow = speech[0][:, ::2]
    wide = ours.upsampler(torch.nn.functional.pad(narrow, (15, 16)))
    assert torch.equal(wide[:, ::2], narrow)
    lengths = torch.tensor([32000, 32000])
    with torch.inference_mode():
        expected, counts = ours.encoder(*ours.features(wide, lengths), 1)
    found = streamed(ours, 2, narrow, lengths, hz=8000)
    assert relative(found[:, : int(counts[0])], expected[:, : int(counts[0])]) < 1e-3


def test_upsampling_keeps_tones_of_the_telephone_band():
    model = FastConformer(replace(TINY, layers=1))
    time = torch.arange(4000)
    for hz in (200, 1000, 3300):
        narrow = (2 * torch.pi * hz * time / 8000).sin()[None]
        wide = model.upsampler(narrow)[0, 100:-100]
        place = torch.arange(wide.shape[0]) + 100 + 30
        tone = (2 * torch.pi * hz * place / 16000).sin()
        assert (wide - tone).abs().max() < 0.02, hz


def test_a_slot_that_is_taken_again_knows_nothing_of_the_call_before(ours):
    shape = ChunkShape(2)
    streamer = Streamer(ours, shape)
    state, fresh = streamer.allocate(2), streamer.allocate(1)
    everyone, open_ended = torch.tensor([True, True]), torch.tensor([NEVER, NEVER])
    chunks = 0.1 * torch.randn(5, 2, shape.samples, generator=torch.Generator().manual_seed(3))

    def run(these: torch.Tensor) -> list[torch.Tensor]:
        return [
            streamer.encode(
                state, streamer.hear(state, chunk, everyone, open_ended), everyone, open_ended
            )
            for chunk in these
        ]

    with torch.inference_mode():
        before = run(chunks)
        streamer.reset(state, fresh, torch.tensor([0]))
        after = run(chunks)
    for early, late in zip(before, after, strict=True):
        torch.testing.assert_close(early[0], late[0], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(before[0][1], after[0][1], atol=1e-3)


@pytest.mark.parametrize("chunk_ms", [0, 100, 80 * 71])
def test_chunks_that_the_model_has_not_are_refused(chunk_ms):
    with pytest.raises(UserMistake, match="no multiple of 80 ms"):
        ChunkShape.of_ms(chunk_ms, replace(TINY, left=70), 8000)


# ---------------------------------------------------------------- heads


@torch.inference_mode()
def labels_of(model: FastConformer, encoded: torch.Tensor, counts: torch.Tensor, window: int):
    """Tokens and frames of each row, decoded in windows as chunks are."""
    transducer = model.transducer
    state = transducer.start(len(encoded))
    found: list[list[tuple[int, int]]] = [[] for _ in encoded]
    projected = transducer.encoder(encoded)
    for begin in range(0, encoded.shape[1], window):
        part = projected[:, begin : begin + window]
        labels = Labels.empty(len(encoded), part.shape[1], 10, encoded.device)
        inside = (counts - begin).clamp(0, part.shape[1])
        transducer.decode(part, inside, state, labels)
        for row, count in enumerate(labels.count.tolist()):
            tokens, frames = labels.tokens[row, :count], labels.frames[row, :count]
            found[row] += zip(tokens.tolist(), (frames + begin).tolist(), strict=True)
    return found


def told_by(reference, mel, mask, blank, **options):
    """The reference's tokens with their frames."""
    reference.generation_config.decoder_start_token_id = blank
    told = reference.generate(
        input_features=mel, attention_mask=mask, max_new_tokens=260, **options
    )
    frames = told.durations.cumsum(-1) - told.durations
    counts = reference.encoder._get_subsampling_output_length(mask.sum(-1)).tolist()
    return [
        [(t, f) for t, f in zip(row[1:], at[1:], strict=True) if t != blank and f < count]
        for row, at, count in zip(told.sequences.tolist(), frames.tolist(), counts, strict=True)
    ]


@pytest.mark.parametrize("window", [1, 2, 7, 64])
def test_rnnt_emits_what_transformers_emits(nemotron, ours, speech, window):
    mel, counts = ours.features(*speech)
    mask = torch.arange(mel.shape[1]) < counts[:, None]
    expected = told_by(nemotron, mel, mask, CLASSES - 1, num_lookahead_tokens=1)
    with torch.inference_mode():
        frames, valid = ours.encoder(mel, counts, 1)

    assert min(len({token for token, _ in row}) for row in expected) > 1
    assert len({frame for _, frame in expected[0]}) > 5
    assert labels_of(ours, frames, valid, window) == expected


@pytest.fixture(scope="module")
def parakeet() -> tuple[ParakeetForTDT, FastConformer]:
    config = ParakeetTDTConfig(
        vocab_size=CLASSES,
        blank_token_id=CLASSES - 1,
        decoder_hidden_size=24,
        encoder_config=ENCODER,
        durations=[0, 1, 2, 3, 4],
    )
    torch.manual_seed(2)
    reference = shaken(ParakeetForTDT(config))
    with torch.no_grad():  # staying on a frame for ever is what random weights like
        reference.joint.head.bias[CLASSES] -= 3.0
    offline = replace(TINY, is_causal=False, conv_norm="batch", left=-1, durations=(0, 1, 2, 3, 4))
    return reference, build(
        offline, reference.state_dict(), hugging_face_naming(is_streaming=False), "reference"
    )


@pytest.mark.parametrize("window", [2, 64])
def test_tdt_emits_what_transformers_emits(parakeet, speech, window):
    """Durations reach over the ends of windows."""
    reference, model = parakeet
    mel, counts = model.features(*speech)
    mask = torch.arange(mel.shape[1]) < counts[:, None]
    expected = told_by(reference, mel, mask, CLASSES - 1)
    with torch.inference_mode():
        frames, valid = model.encoder(mel, counts)

    assert min(len({frame for _, frame in row}) for row in expected) > 3
    assert labels_of(model, frames, valid, window) == expected


def test_offline_parakeet_with_ctc_gives_what_transformers_gives(speech):
    config = ParakeetCTCConfig(vocab_size=CLASSES, pad_token_id=CLASSES - 1, encoder_config=ENCODER)
    torch.manual_seed(3)
    reference = shaken(ParakeetForCTC(config))
    offline = replace(
        TINY, is_causal=False, conv_norm="batch", left=-1, has_ctc=True, has_transducer=False
    )
    model = build(
        offline, reference.state_dict(), hugging_face_naming(is_streaming=False), "reference"
    )
    mel, counts = model.features(*speech)
    mask = torch.arange(mel.shape[1]) < counts[:, None]
    with torch.inference_mode():
        frames, valid = model.encoder(mel, counts)
        logits = model.ctc(frames)
        expected = reference(mel, attention_mask=mask).logits
    for row, wanted, count in zip(logits, expected, valid, strict=True):
        assert relative(row[:count], wanted[:count]) < 1e-4
    best = expected.argmax(-1)
    for row, count, tokens in zip(best, valid, ctc_labels(logits, valid), strict=True):
        merged = torch.unique_consecutive(row[:count]).tolist()
        assert tokens == [token for token in merged if token != CLASSES - 1]


def test_ctc_merges_repeats_and_drops_blanks():
    best = torch.tensor([[1, 1, 3, 1, 2, 2, 3, 0]])
    logits = torch.nn.functional.one_hot(best, 4).float()
    assert ctc_labels(logits, torch.tensor([7])) == [[1, 1, 2]]


def test_an_offline_model_cannot_stream(parakeet):
    with pytest.raises(UserMistake, match="cannot stream"):
        ChunkShape.of_ms(160, parakeet[1].config, 8000)
