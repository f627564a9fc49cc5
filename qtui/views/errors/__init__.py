"""Failures by error: their groups, and one of them in full."""
