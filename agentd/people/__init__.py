"""A person across every store: who there is, what is kept of them, and its erasure."""
