"""Order books, marks, funding and how fresh they are: what the market looks like now."""
