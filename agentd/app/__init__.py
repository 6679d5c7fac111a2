"""The composition root: the only place, but for the command line, that sees the assembled settings."""

from agentd.app.parts import Edges
from agentd.app.serving import serve

__all__ = ["Edges", "serve"]
