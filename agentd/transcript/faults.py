"""Classifies faults of the disk: does one concern a single session file or all of them, and what is a person told."""

from __future__ import annotations

import errno

from agentd.errors import StorageError

__all__ = ["FileChanged", "WrongKey", "fault_sentence", "is_of_one_file"]

_OF_ONE_FILE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENXIO,  # a pipe or a socket, opened to write
        errno.ESPIPE,  # a pipe, read
        errno.EINVAL,  # a pipe, flushed
        errno.EIO,
    }
)
"""All other errors (ENOSPC, EDQUOT, EROFS, EMFILE, ENFILE, ENOMEM ...) concern every file."""


class FileChanged(OSError):
    """The file is not as long as its only writer, this daemon, left it."""


class WrongKey(StorageError):
    """The file under a session's name belongs to another session."""


def is_of_one_file(fault: OSError | StorageError) -> bool:
    """Tell whether a fault concerns this file alone: others may be well."""
    if isinstance(fault, FileChanged):
        return False
    return isinstance(fault, WrongKey) or (isinstance(fault, OSError) and fault.errno in _OF_ONE_FILE)


def fault_sentence(fault: OSError) -> str:
    """Return a sentence that says what happened, and what to do about it."""
    if isinstance(fault, FileChanged):
        return f"the session's file was changed by somebody else ({fault}); what it holds now was read again"
    hint = {
        errno.ENOSPC: "free some space",
        errno.EACCES: "check its owner and mode",
        errno.EROFS: "mount it writable",
    }
    todo = hint.get(fault.errno or 0, "check the disk")
    return f"the session could not be written or read: {fault.strerror or fault}; {todo}"
