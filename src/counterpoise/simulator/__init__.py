"""A loopback exchange server that speaks OKX's own wire protocol."""
