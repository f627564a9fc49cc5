"""What errors have in common: the line that names a cause, and its signature. Pure."""
