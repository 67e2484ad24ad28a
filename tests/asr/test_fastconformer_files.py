"""Checkpoints in NeMo's and Hugging Face's form, whole and spoiled."""

import io
import json
import tarfile
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from voicebot.asr.fastconformer import FastConformerConfig
from voicebot.asr.fastconformer_names import hugging_face_naming, nemo_naming
from voicebot.asr.fastconformer_stream import FastConformer
from voicebot.asr.nemo_archive import load, sentencepiece_tokens
from voicebot.errors import ModelUnavailable

pytestmark = pytest.mark.unit

TOKENS = [b"<unk>", "\u2581the".encode(), b"s", "\u2581caf\u00e9".encode(), b"e", b"t", b"a"]
CONFIG = FastConformerConfig(
    width=16, layers=2, heads=2, inner=64, stem_channels=4, vocabulary=len(TOKENS),
    predictor_width=8, predictor_layers=1, joint_width=8, scales_input=False,
)  # fmt: skip
NEMO = {
    "preprocessor": {"features": 80, "normalize": "NA"},
    "encoder": {
        "d_model": 16, "n_layers": 2, "n_heads": 2, "subsampling": "dw_striding",
        "subsampling_factor": 8, "subsampling_conv_channels": 4, "causal_downsampling": True,
        "conv_norm_type": "layer_norm", "xscaling": False,
        "att_context_size": [[70, 13], [70, 6], [70, 1], [70, 0]],
    },
    "decoder": {"prednet": {"pred_hidden": 8, "pred_rnn_layers": 1}},
    "joint": {"jointnet": {"joint_hidden": 8}},
    "aux_ctc": {},
}  # fmt: skip


def piece(token: bytes) -> bytes:
    inner = b"\x0a" + bytes([len(token)]) + token + b"\x15" + bytes(4) + b"\x18\x01"
    return b"\x0a" + bytes([len(inner)]) + inner


TOKENIZER = b"".join(piece(token) for token in TOKENS) + b"\x12\x02\x08\x01"


def source() -> FastConformer:
    torch.manual_seed(0)
    return FastConformer(CONFIG).eval()


def renamed(model: FastConformer, naming) -> dict[str, torch.Tensor]:
    """As the family's own code would have saved it."""
    found = {}
    for name, tensor in model.state_dict().items():
        sources = naming.sources(name)
        pointwise = any(part in name for part in (".conv.gated.w", ".conv.out.w")) or (
            name == "ctc.weight"
        )
        for key, part in zip(sources, tensor.chunk(len(sources)), strict=True):
            found[key] = (part[..., None] if pointwise else part).clone()
    return found


def nemo_file(path: Path, tensors, *, config=NEMO, tokenizer=TOKENIZER) -> Path:
    weights = io.BytesIO()
    torch.save(tensors, weights)
    parts = {
        "./model_config.yaml": yaml.safe_dump(config).encode(),
        "./abc_tokenizer.model": tokenizer,
        "./model_weights.ckpt": weights.getvalue(),
    }
    with tarfile.open(path, "w") as archive:
        for name, content in parts.items():
            if content is not None:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def test_a_nemo_archive_gives_the_model_that_was_saved(tmp_path):
    model = source()
    tensors = renamed(model, nemo_naming()) | {"preprocessor.featurizer.window": torch.ones(400)}
    loaded = load(nemo_file(tmp_path / "m.nemo", tensors))
    assert loaded.model.config == CONFIG
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name
    assert loaded.vocabulary.text([1, 2, 3]) == "thes caf\u00e9"


def test_a_hugging_face_folder_gives_the_model_that_was_saved(tmp_path):
    model = source()
    tensors = renamed(model, hugging_face_naming(is_streaming=True))
    save_file({k: v for k, v in tensors.items() if "ctc" not in k}, tmp_path / "m.safetensors")
    config = {
        "model_type": "nemotron_asr_streaming",
        "vocab_size": 8,
        "blank_token_id": 7,
        "decoder_hidden_size": 8,
        "num_decoder_layers": 1,
        "encoder_config": {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "subsampling_conv_channels": 4,
            "scale_input": False,
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    vocabulary = {token.decode(): number for number, token in enumerate(TOKENS)}
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": vocabulary}, "added_tokens": [{"content": "<b>", "id": 7}]})
    )
    loaded = load(tmp_path)
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    assert loaded.vocabulary.text([1, 5]) == "thet"


def without(tensors, name):
    return {key: value for key, value in tensors.items() if key != name}


def spoiled(tensor: torch.Tensor, value: float) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[-1] = value
    return tensor


NORM = "encoder.layers.1.conv.batch_norm.weight"
QUERY = "encoder.layers.0.self_attn.linear_q.weight"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: without(t, NORM), rf"1 tensors missing \({NORM}\)"),
        (lambda t: t | {"encoder.extra": torch.ones(2)}, r"belong to no part.*encoder\.extra"),
        (
            lambda t: t | {QUERY: torch.ones(16, 15)},
            r"another shape \(encoder.layers.0.self_attn.linear_q.weight \(16, 15\) instead",
        ),
        (lambda t: t | {QUERY: t[QUERY] * float("nan")}, rf"{QUERY} holds values that are no fini"),
        (lambda t: t | {NORM: spoiled(t[NORM], float("inf"))}, rf"{NORM} holds values that are no"),
        (lambda t: {k: v.to(torch.int8) for k, v in t.items()}, "no finite numbers"),
        (lambda t: {"a": 3}, "something else than named tensors"),
        (lambda t: {"a": Path("x")}, "damaged or holds more than tensors"),
    ],
    ids=["missing", "extra", "misshapen", "nan", "one-inf", "integers", "no-tensors", "code"],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path, spoil, said):
    tensors = spoil(renamed(source(), nemo_naming()))
    with pytest.raises(ModelUnavailable, match=said) as caught:
        load(nemo_file(tmp_path / "m.nemo", tensors))
    assert "\n" not in str(caught.value)
    assert "m.nemo" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tokenizer": piece(b"a") + piece(b"b")}, "2 tokens where the weights have 7"),
        ({"tokenizer": b"\xff\xff"}, "no SentencePiece model"),
        ({"tokenizer": None}, "no tokenizer.model in it"),
        ({"config": {"encoder": {"subsampling": "vggnet"}}}, "not a FastConformer"),
        ({"config": "just text"}, "describes no encoder"),
    ],
    ids=["short", "garbage", "none", "other-model", "other-config"],
)
def test_a_tokenizer_or_configuration_that_does_not_fit_is_refused(tmp_path, options, said):
    tensors = renamed(source(), nemo_naming())
    with pytest.raises(ModelUnavailable, match=said):
        load(nemo_file(tmp_path / "m.nemo", tensors, **options))


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "m.nemo").write_bytes(b"not a tar")
    with pytest.raises(ModelUnavailable, match="not a readable"):
        load(tmp_path / "m.nemo")
    with pytest.raises(ModelUnavailable, match="no such file"):
        load(tmp_path / "missing.nemo")
    with pytest.raises(ModelUnavailable, match=r"config\.json: missing"):
        load(tmp_path)


def test_pieces_of_a_tokenizer_are_read():
    assert sentencepiece_tokens(TOKENIZER, Path("t")) == TOKENS


ODD = {
    "contexts of contexts of nothing": {"encoder": {"att_context_size": [[]]}},
    "contexts that are words": {"encoder": {"att_context_size": [["a", "b"]]}},
    "heads that do not divide the width": {"encoder": {"n_heads": 3}},
    "no heads": {"encoder": {"n_heads": 0}},
    "a width below nothing": {"encoder": {"d_model": -16}},
    "no layers": {"encoder": {"n_layers": 0}},
    "layers without number": {"encoder": {"n_layers": [2]}},
    "a decoder that is a list": {"decoder": [1, 2]},
    "a predictor that is a word": {"decoder": {"prednet": "lstm"}},
    "a joint that is a number": {"joint": 7},
    "features that are none": {"preprocessor": "mel"},
    "defaults that are a list": {"model_defaults": [1]},
    "durations that are words": {"model_defaults": {"tdt_durations": "ab", "num_tdt_durations": 2}},
}


OTHERS = [
    ("encoder.att_context_style", "regular", "chunked_limited"),
    ("encoder.att_context_style", "chunked_limited_with_rc", "chunked_limited"),
    ("encoder.conv_context_size", None, "causal"),
    ("encoder.conv_context_size", [4, 4], "causal"),
    ("encoder.self_attention_model", "abs_pos", "rel_pos"),
    ("encoder.self_attention_model", "rel_pos_local_attn", "rel_pos"),
    ("encoder.att_context_size", [-1, -1], "[70, 13] or the like"),
    ("encoder.att_context_size", [[70, 13], [70, -1]], "[70, 13] or the like"),
    ("preprocessor.sample_rate", 8000, "16000"),
    ("preprocessor.window_stride", 0.0125, "0.01"),
    ("preprocessor.window_size", 0.02, "0.025"),
    ("preprocessor.n_fft", 1024, "512"),
    ("preprocessor.window", "hamming", "hann"),
    ("preprocessor.normalize", "per_feature", "NA"),
]


@pytest.mark.parametrize(("key", "value", "fits"), OTHERS)
def test_configurations_that_would_be_computed_otherwise_are_refused(tmp_path, key, value, fits):
    """Their weights fit all the same."""
    part, name = key.split(".")
    config = NEMO | {part: NEMO[part] | {name: value}}
    path = nemo_file(tmp_path / "other.nemo", renamed(source(), nemo_naming()), config=config)
    with pytest.raises(ModelUnavailable) as told:
        load(path)
    said = str(told.value)
    assert said.startswith(f"{path}: its model_config.yaml has {key}: ")
    assert fits in said.partition("what can be computed here has ")[2]
    assert "\n" not in said


def test_a_configuration_that_says_all_of_its_family_is_taken(tmp_path):
    features = {"sample_rate": 16000, "window_size": 0.025, "window_stride": 0.01, "n_fft": 512}
    features |= {"window": "hann", "features": 80, "log": True, "frame_splicing": 1}
    features |= {"dither": 1e-5, "pad_to": 0, "normalize": "NA"}
    encoder = {"att_context_style": "chunked_limited", "self_attention_model": "rel_pos"}
    encoder |= {"conv_context_size": "causal", "reduction": None, "pos_emb_max_len": 5000}
    joint = {"jointnet": {"joint_hidden": 8, "activation": "relu", "dropout": 0.2}}
    config = {"preprocessor": features, "encoder": NEMO["encoder"] | encoder, "joint": joint}
    path = nemo_file(
        tmp_path / "m.nemo", renamed(source(), nemo_naming()), config={**NEMO, **config}
    )
    assert load(path).model.config == CONFIG
    encoder["conv_context_size"] = [8, 0]
    config["encoder"] = NEMO["encoder"] | encoder
    nemo_file(path, renamed(source(), nemo_naming()), config={**NEMO, **config})
    assert load(path).model.config == CONFIG


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_configurations_are_told_in_one_line(tmp_path, odd):
    config = {key: dict(value) for key, value in NEMO.items()}
    for key, value in odd.items():
        both = isinstance(value, dict) and isinstance(config.get(key), dict)
        config[key] = config[key] | value if both else value
    path = nemo_file(tmp_path / "odd.nemo", renamed(source(), nemo_naming()), config=config)
    with pytest.raises(ModelUnavailable) as told:
        load(path)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PK\x03\x04" + bytes(100),
        bytes(2000),
        b"\x1f\x8b\x08" + bytes(50),
        b"BZh9" + bytes(99),
    ],
    ids=["nothing", "a zip", "zeros", "half a gzip", "half a bzip2"],
)
def test_files_that_are_no_archives_are_told_in_one_line(tmp_path, raw):
    path = tmp_path / "no.nemo"
    path.write_bytes(raw)
    with pytest.raises(ModelUnavailable) as told:
        load(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "tokenizer",
    ['{"model": []}', '{"model": {"vocab": [[]]}}', '{"model": {"vocab": {"a": "b"}}}',
     '{"model": {"vocab": {"a": -5}}, "added_tokens": [3]}', '{"model": {"vocab": [1, 2]}}'],
)  # fmt: skip
def test_odd_tokenizers_of_folders_are_told_in_one_line(tmp_path, tokenizer):
    naming = hugging_face_naming(is_streaming=True)
    save_file(renamed(source(), naming), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nemotron_asr_streaming"}))
    (tmp_path / "tokenizer.json").write_text(tokenizer)
    with pytest.raises(ModelUnavailable) as told:
        load(tmp_path)
    assert "\n" not in str(told.value)
