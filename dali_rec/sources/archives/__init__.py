"""Archives: .tar, .zip and shards of WebDataset, read from where their members lie."""
