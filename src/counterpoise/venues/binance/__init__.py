"""Binance USD-M futures: public and private streams, orders and reads."""
