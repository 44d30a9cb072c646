"""The block index after Seismic: pruned lists, blocks, summaries, and documents' vectors by row."""
