"""This package is the daemon's long-term memory: it learns facts and events from conversations, and recalls them."""
