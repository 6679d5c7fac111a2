"""Stores what was said, in one append-only JSONL file per session, and reads what it means."""
