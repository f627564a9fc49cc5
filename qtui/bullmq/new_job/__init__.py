"""A job that is to be added or edited: its options, its data as JSON text, and how it is now."""
