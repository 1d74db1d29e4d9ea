"""Seeded markets."""
