"""Settings, wiring, the daemon and the command line. The only reader of the environment."""
