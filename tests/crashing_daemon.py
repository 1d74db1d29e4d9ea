"""Runs the ordinary daemon, which dies at a named point: `crashing_daemon.py POINT PASSAGE VENUE`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import crash_points
from counterpoise.app.cli import main


def run() -> None:
    """Set the trap and start."""
    _, name, passage, venue = sys.argv
    crash_points.set_trap(crash_points.POINTS[name], int(passage), venue)
    sys.argv = ["counterpoise", "run"]
    main.main()


if __name__ == "__main__":
    run()
