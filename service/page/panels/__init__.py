"""Pages beside the search page: the collections panel, and two settings side by side."""
