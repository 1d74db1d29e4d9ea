"""Liveness, readiness and what they say."""
