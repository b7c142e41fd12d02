"""Other libraries' names over our parts."""
