"""Stores in `state.db` what the daemon must know from run to run and is no conversation: pairings, links, usage and so
on.
"""
