"""Parquet and Arrow files with images in them, as on the Hugging Face Hub and in the folders of its library."""
