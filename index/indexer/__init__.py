"""Building a block index: its stages, the graph of nearest documents, threads and memory."""
