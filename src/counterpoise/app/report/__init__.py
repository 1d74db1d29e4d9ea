"""The report of a span of the record: one HTML file."""
