"""Rolling volatility, correlation, beta and stress. The only home of float statistics."""
