"""Values and events every other layer speaks in. Standard library only, no I/O, no clock."""
