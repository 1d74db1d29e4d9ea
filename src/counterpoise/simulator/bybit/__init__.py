"""Bybit v5 as the simulator speaks it: linear perpetuals of a unified trading account."""
