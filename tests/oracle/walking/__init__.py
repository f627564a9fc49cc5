"""A random walk over one queue: what anybody may do with it, in any order, and what must hold."""
