"""One package per venue; the only place that knows its symbols, contracts and wire."""
