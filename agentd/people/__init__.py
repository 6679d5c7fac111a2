"""A person across every store: who there is, who may talk, what is kept of them, and its erasure."""
