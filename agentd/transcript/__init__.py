"""The durable ground: what was said, in one append-only file a session, and what that means."""
