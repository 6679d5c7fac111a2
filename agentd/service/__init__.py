"""Keeps the daemon running under its supervisor, and tells others how it is."""
