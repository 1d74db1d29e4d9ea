"""Bybit: linear perpetuals of a unified trading account."""
