"""How much at once: connections, requests in flight, rates, bodies, and deadlines."""
