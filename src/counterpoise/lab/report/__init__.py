"""One HTML file that shows what policies did; it loads nothing from anywhere."""
