"""Decides who may talk, and how much."""
