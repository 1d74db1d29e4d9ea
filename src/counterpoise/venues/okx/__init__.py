"""OKX v5 USDT-margined swaps."""
