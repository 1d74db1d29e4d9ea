"""Many sets of numbers on the same data, over processes or machines, and how much of it is luck."""
