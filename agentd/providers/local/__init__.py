"""The embedded model: SmolLM2-135M-Instruct, or a GGUF file of the user's, run inside this process by llama.cpp.

It serves to try the daemon without a key: English small talk, no more. Importing this package loads nothing;
`open_local` does.
"""

from agentd.providers.local.provider import LocalProvider, open_local
from agentd.providers.local.weights import local_model_missing

__all__ = ["LocalProvider", "local_model_missing", "open_local"]
