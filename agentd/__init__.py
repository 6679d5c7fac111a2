"""The daemon: conversations over channels, kept on disk."""
