"""Defines the records of a session file, one JSON object per line, and encodes and parses them.

Records are appended and never changed. Every record carries `seq` (from 0, no gaps), `ts` (RFC 3339, UTC, milliseconds)
and `type`. A record is built without the first two: the store sets them when it commits. `source.message_id` is the
platform's own id. A line that is not one of these is `Damaged` (not JSON, or of the wrong shape) or `Unknown` (a type
of a later version): both are skipped, and the lines around them still count.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from agentd.transcript.key import SessionKey

__all__ = [
    "FORMAT_VERSION",
    "LOST_ENDING",
    "AssistantMessage",
    "Author",
    "Command",
    "Compaction",
    "Damaged",
    "Delete",
    "Delivery",
    "Draft",
    "Edit",
    "Erased",
    "Failure",
    "FileAttachment",
    "Record",
    "Reset",
    "SessionHeader",
    "Source",
    "TokenUsage",
    "Undo",
    "Unknown",
    "UserMessage",
    "encode_line",
    "parse_line",
]

FORMAT_VERSION: Final = 1

UNNUMBERED: Final = -1

LOST_ENDING: Final = "lost"

Seq = Annotated[int, msgspec.Meta(ge=UNNUMBERED, le=2**53)]
"""A larger seq, which no file reaches, is damage: otherwise later records would be numbered on from it."""


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote: the platform's stable id identifies them, the name is only for display."""

    id: str
    name: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where an inbound record came from; `sent_at` is the platform's time."""

    chat: str
    message_id: str
    sent_at: str
    author: Author
    direct: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether only its author and the daemon can read there; UNSET in files of earlier versions."""


class FileAttachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that came with a message; `name` is the sender's name for it, and is used for display only."""

    name: str
    media_type: str
    size_bytes: int
    path: str = ""
    """Path below `NAME.files/`; empty: the file is not kept."""
    excerpt: str = ""
    """The part of a text file that prompts show."""
    unread: str = ""
    """Why the file could not be used, as its sender was told; empty if it could."""


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the provider counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    factor: float | msgspec.UnsetType = msgspec.UNSET
    """How many tokens the model counts per estimated token, as far as learnt by then."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    seq: Seq = UNNUMBERED
    ts: str = ""


class SessionHeader(_Record, frozen=True, kw_only=True, tag_field="type", tag="session"):
    """The first line: its key says whose file this is."""

    version: int
    key: SessionKey


class UserMessage(_Record, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """One platform message. Without `source` (imported, or of an older format) it is history and not pending."""

    role: Literal["user"] = "user"
    content: str
    source: Source | None = None
    attachments: tuple[FileAttachment, ...] = ()
    album: str | msgspec.UnsetType = msgspec.UNSET
    """The id that the parts of an album share."""
    goes_on: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether more parts of the same message were announced."""
    trace: str = ""


class AssistantMessage(_Record, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """A reply, on disk before its final text is shown; `answers` are the seqs of its turn's messages."""

    role: Literal["assistant"] = "assistant"
    content: str
    answers: tuple[int, ...] = ()
    outcome: Literal["complete", "interrupted"] = "complete"
    model: str = ""
    usage: TokenUsage = TokenUsage()
    beside: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    """The commands before the turn that were still at work (`/compact`): not all before it is settled."""
    trace: str = ""


class Command(_Record, frozen=True, kw_only=True, tag_field="type", tag="command"):
    """A command, recorded before it acts, and recognised when redelivered."""

    name: str
    args: str = ""
    source: Source
    trace: str = ""


class Draft(_Record, frozen=True, kw_only=True, tag_field="type", tag="draft"):
    """One platform message of a reply: `sending` before the platform is called, `sent` with its id after."""

    answers: tuple[int, ...]
    part: int
    state: Literal["sending", "sent"]
    message_id: str | None = None
    up: tuple[str, float] | msgspec.UnsetType = msgspec.UNSET
    """Of `sending`, where the platform recognises a second copy: which start of the machine, and seconds since."""


class Delivery(_Record, frozen=True, kw_only=True, tag_field="type", tag="delivery"):
    """What the platform confirmed of a reply, a failure's notice or a command's answer (`of` is its seq)."""

    of: int
    message_ids: tuple[str, ...] = ()
    state: Literal["sent", "uncertain", "failed"]


class Failure(_Record, frozen=True, kw_only=True, tag_field="type", tag="failure"):
    """A turn that ended without a reply; `told` says whether its sender gets a notice, `notice` what it says.

    With the reason `LOST_ENDING` it was written by a repair, in place of a record that may have been the reply.
    """

    answers: tuple[int, ...]
    reason: str
    told: bool
    notice: str = ""
    beside: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    """As in `AssistantMessage`."""
    trace: str = ""


class Compaction(_Record, frozen=True, kw_only=True, tag_field="type", tag="compaction"):
    """A summary: the prompt starts with it, and goes on with the turns after `covers[1]`."""

    covers: tuple[int, int]
    digest: str
    summary: str
    model: str = ""
    tokens_before: int = 0
    tokens_after: int = 0


class Undo(_Record, frozen=True, kw_only=True, tag_field="type", tag="undo"):
    """Revokes the compaction with the seq `of`."""

    of: int
    source: Source | None = None


class Reset(_Record, frozen=True, kw_only=True, tag_field="type", tag="reset"):
    """Begins a new conversation (`/new`): the prompt starts empty; everything accepted earlier was settled before."""

    reason: str
    source: Source | None = None


class Edit(_Record, frozen=True, kw_only=True, tag_field="type", tag="edit"):
    """The new text of the message with the seq `of`."""

    of: int
    content: str
    edited_at: str
    source: Source | None = None


class Delete(_Record, frozen=True, kw_only=True, tag_field="type", tag="delete"):
    """The message with the seq `of` was deleted by its author."""

    of: int
    edited_at: str = ""
    source: Source | None = None


class Erased(_Record, frozen=True, kw_only=True, tag_field="type", tag="erased"):
    """Replaces a record of an erased person, or one that was lost."""


class Damaged(_Record, frozen=True, kw_only=True):
    """A line that is not a record; its bytes stay in the file."""

    fault: str


class Unknown(_Record, frozen=True, kw_only=True):
    """A record of a type that this version does not know."""

    name: str


Record = (
    SessionHeader
    | UserMessage
    | AssistantMessage
    | Command
    | Draft
    | Delivery
    | Failure
    | Compaction
    | Undo
    | Reset
    | Edit
    | Delete
    | Erased
)


class _Head(msgspec.Struct, frozen=True):
    """The fields that decide how the rest of a line is parsed; messages without a type are of an older format."""

    type: str = "message"
    role: str | None = None
    seq: Seq = UNNUMBERED


_head_decoder = msgspec.json.Decoder(_Head)
_encoder = msgspec.json.Encoder()
_decoders: dict[tuple[str, str | None], msgspec.json.Decoder[Record]] = {
    ("session", None): msgspec.json.Decoder(SessionHeader),
    ("message", "user"): msgspec.json.Decoder(UserMessage),
    ("message", "assistant"): msgspec.json.Decoder(AssistantMessage),
    ("command", None): msgspec.json.Decoder(Command),
    ("draft", None): msgspec.json.Decoder(Draft),
    ("delivery", None): msgspec.json.Decoder(Delivery),
    ("failure", None): msgspec.json.Decoder(Failure),
    ("compaction", None): msgspec.json.Decoder(Compaction),
    ("undo", None): msgspec.json.Decoder(Undo),
    ("reset", None): msgspec.json.Decoder(Reset),
    ("edit", None): msgspec.json.Decoder(Edit),
    ("delete", None): msgspec.json.Decoder(Delete),
    ("erased", None): msgspec.json.Decoder(Erased),
}


def encode_line(record: Record) -> bytes:
    """Return the record as one line of JSON with its newline.

    Text with lone surrogates cannot be encoded as UTF-8: channels replace them when they parse.
    """
    return _encoder.encode(record) + b"\n"


def parse_line(line: bytes) -> Record | Damaged | Unknown:
    """Parse one line, with or without its newline; never raises."""
    try:
        head = _head_decoder.decode(line)
        role = head.role if head.type == "message" else None
        decoder = _decoders.get((head.type, role))
        if decoder is None:
            return Unknown(seq=head.seq, name=f"{head.type} {role}" if role else head.type)
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        return Damaged(fault=str(fault))
