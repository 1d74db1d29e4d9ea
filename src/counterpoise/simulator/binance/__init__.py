"""Binance USD-M futures as a wire protocol over the modelled venue."""
