"""What must hold before the daemon is started, looked at point by point."""
