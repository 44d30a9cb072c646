"""Collections, queries and judgements, read as streams from files, folders and catalogues."""
