"""Collections kept by a service: made, renamed, swapped, and long work on them."""
