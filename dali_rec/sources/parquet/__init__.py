"""Parquet files with images in them, as on the Hugging Face Hub."""
