"""What is allowed: the gate, the guard between cycles, liquidation distance. Pure."""
