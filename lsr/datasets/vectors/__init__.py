"""Files of sparse vectors that other engines read and write."""
