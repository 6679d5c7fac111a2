"""Holds the conversations: a router, one actor per session, and the turns that answer waiting messages."""
