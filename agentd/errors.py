"""The error classes that end a command or the daemon, each with its exit code.

AgentdError
 ├── ConfigError      the operator must change something: exit 78
 ├── WorkspaceBusy    another daemon holds the workspace: exit 75
 └── StorageError     a record did not reach the disk: nothing was accepted, try again
"""

from __future__ import annotations

__all__ = ["AgentdError", "ConfigError", "StorageError", "WorkspaceBusy"]


class AgentdError(Exception):
    """The root: its text is one line for a person, and says what to do."""

    exit_code = 1


class ConfigError(AgentdError):
    """The configuration cannot be used; the text names file, key and fault."""

    exit_code = 78


class WorkspaceBusy(AgentdError):
    """Another daemon holds the lock of this workspace."""

    exit_code = 75


class StorageError(AgentdError):
    """Records were not written, and none of their bytes remain in the file."""
