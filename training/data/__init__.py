"""Training data: sources read, pairs told apart, texts tokenized, batches planned."""
