"""Bad days on a schedule: scripts of phases, real bars, and how a market behaves under stress."""
