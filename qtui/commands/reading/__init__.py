"""Commands that only read: they print what is there, and what is wrong with it."""
