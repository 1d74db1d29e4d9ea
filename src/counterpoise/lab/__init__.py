"""The laboratory: backtests, stress, sweeps and reports on recorded or invented markets."""
