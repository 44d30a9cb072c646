"""A whole corpus: what it counts for an encoder, and its vectors in files."""
