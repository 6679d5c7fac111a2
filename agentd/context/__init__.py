"""Builds the prompts that models get, within a token budget: history, summaries, token estimates."""
