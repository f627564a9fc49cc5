"""A walk over a whole state, and what of it matches a filter."""
