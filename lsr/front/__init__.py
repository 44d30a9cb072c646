"""Parts of the front door: what a collection's handle searches with, takes and gives."""
