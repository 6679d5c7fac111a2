"""Keeps, in `state.db`, what the daemon must know from run to run and what is no conversation."""
