"""Hold texts: the catalogue, their splits as tokens and as batches, tokenizers, shards on disk."""
