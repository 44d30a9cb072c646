"""Who may do what: keys, grants, the scope of every route, and the guard in front of all."""
