"""Runs a session: one actor that turns waiting messages into replies."""
