"""Routes of the REST API, and its requests and answers on the wire."""
