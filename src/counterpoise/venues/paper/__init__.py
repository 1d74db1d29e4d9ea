"""A modelled account in a real venue's public markets: nothing of it ever leaves the process."""
