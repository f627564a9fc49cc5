"""Reads many jobs by our own scripts, which only those who may write can call."""
