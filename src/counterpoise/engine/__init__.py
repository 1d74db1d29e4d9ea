"""State and step: the only place state changes. No await, no clock, no I/O."""
