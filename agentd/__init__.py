"""The daemon: conversations with a language model over chat platforms, kept on disk."""
