"""Tables: CSV, TSV, text, JSON and JSON lines, a row for each image."""
