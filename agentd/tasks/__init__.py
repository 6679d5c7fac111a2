"""Runs background tasks from a durable queue, over procrastinate, that survive a restart."""
