"""The sense of words: static subword vectors that come inside the wordllama wheel.

256 numbers for each of 32,000 subwords, made from the input vectors of large language models and
trained so that the mean over a sentence tells what it is about. The length of a vector says how
much its subword matters: weighting by rarity on top makes it worse (LOG.md). The library itself
is not run, only its two data files are read; without it sense is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

PACKAGE = "wordllama"
WEIGHTS, TOKENIZER = (
    "weights/l2_supercat_256.safetensors",
    "tokenizers/l2_supercat_tokenizer_config.json",
)
MAX_PIECES = 128


class Vectors:
    """Means of subword vectors."""

    def __init__(self, table: NDArray[np.float16], tokenizer: Any) -> None:
        self._table, self._tokenizer = table, tokenizer
        self.width = int(table.shape[1])

    def mean(self, words: Sequence[str]) -> Floats:
        """The sentence's vector, float32 [width]; zeros when it has no words."""
        if not words:
            return np.zeros(self.width, np.float32)
        pieces = self._tokenizer.encode(" ".join(words), add_special_tokens=False).ids
        rows: Floats = self._table[pieces[:MAX_PIECES]].astype(np.float32)
        return np.asarray(rows.mean(axis=0), np.float32)


@lru_cache(maxsize=1)
def load_vectors() -> Vectors | None:
    """The vectors, loaded once (about 0.2 s, 16 MB); None when their wheel is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    if not (folder / WEIGHTS).is_file() or not (folder / TOKENIZER).is_file():
        return None
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    table = load_file(folder / WEIGHTS)["embedding.weight"]
    return Vectors(table, Tokenizer.from_file(str(folder / TOKENIZER)))
