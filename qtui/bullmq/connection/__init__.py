"""Connecting to Redis: `client` is the entrance; the URL (`target`) is parsed without redis-py."""
