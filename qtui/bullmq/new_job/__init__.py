"""A job that is to be added or edited: its options, and its data as JSON text. Pure."""
