"""What a request to the service costs, beside a route that does nothing."""
