"""Counterpoise: holds a core position and its hedge legs inside a hard 3x leverage ceiling."""

__version__ = "0.1.0"
