"""The REST API and the search page over collections made by `lsr.index`."""
