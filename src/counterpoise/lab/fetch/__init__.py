"""Brings a venue's public history into Parquet files, and checks such files."""
