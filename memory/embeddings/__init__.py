"""This package makes and compares embeddings; nothing in it is imported unless `memory.embeddings` is set."""
