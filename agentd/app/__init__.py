"""The composition root: the only place, but for the command line, that sees the assembled settings."""

from agentd.app.serving import Edges, serve
from agentd.app.working import open_work

__all__ = ["Edges", "open_work", "serve"]
