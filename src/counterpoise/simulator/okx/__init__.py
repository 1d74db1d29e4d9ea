"""OKX v5 as the simulator speaks it: REST and WebSocket shapes over `exchange.Exchange`."""
