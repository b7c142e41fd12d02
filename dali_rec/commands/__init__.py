"""The commands, each a thin skin over a public function: its options, and what it prints."""
