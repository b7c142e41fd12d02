"""What the longer commands print."""
