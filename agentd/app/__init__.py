"""The composition root: builds the daemon from the settings; apart from the command line, only it sees all of them."""

from agentd.app.parts import Edges
from agentd.app.serving import serve

__all__ = ["Edges", "serve"]
