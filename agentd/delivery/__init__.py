"""Delivers replies to the platforms: growing drafts, rate limits, retries after a 429, marked copies, delivery
state.
"""
