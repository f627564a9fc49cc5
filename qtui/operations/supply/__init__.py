"""Selects the jobs of an operation, reads what it wipes, and hands out what is left to send."""
