"""Connects the daemon with what surrounds it: workspace lock, control socket, systemd's watchdog, status, metrics,
health.
"""
