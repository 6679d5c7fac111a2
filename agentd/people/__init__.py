"""Finds, exports and erases what is kept of a person, across all stores (sessions, memory, tasks, state.db)."""
