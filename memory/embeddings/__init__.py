"""Vectors of meaning, for recall beyond the words; nothing here is imported unless `memory.embeddings` asks for it."""
