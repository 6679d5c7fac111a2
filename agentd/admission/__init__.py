"""Decides who may talk to the bot (allow list, pairing), and how much (message rate, token budget)."""
