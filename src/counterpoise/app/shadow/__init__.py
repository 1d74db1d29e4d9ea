"""A twin beside the daemon: the same configuration and market data, on a paper account."""
