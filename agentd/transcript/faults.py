"""What a disk's fault means to the person who wrote, and to the operator."""

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
"""Everything else (ENOSPC, EDQUOT, EROFS, EMFILE, ENFILE, ENOMEM ...) is as true of the next file."""


class FileChanged(OSError):
    """The file is not as long as its only writer left it."""


class WrongKey(StorageError):
    """The file under a session's name is another session's."""


def is_of_one_file(fault: OSError | StorageError) -> bool:
    """Tell whether other files may be well where this one has such a fault."""
    if isinstance(fault, FileChanged):
        return False
    return isinstance(fault, WrongKey) or (isinstance(fault, OSError) and fault.errno in _OF_ONE_FILE)


def fault_sentence(fault: OSError) -> str:
    """Say what happened, and what to do about it."""
    if isinstance(fault, FileChanged):
        return f"the session's file was changed by somebody else ({fault}); what it holds now was read again"
    hint = {
        errno.ENOSPC: "free some space",
        errno.EACCES: "check its owner and mode",
        errno.EROFS: "mount it writable",
    }
    todo = hint.get(fault.errno or 0, "check the disk")
    return f"the session could not be written or read: {fault.strerror or fault}; {todo}"
