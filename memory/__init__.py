"""Remembers what was said to whom, and finds it again."""
