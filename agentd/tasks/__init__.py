"""Runs work in the background that outlives a restart."""
