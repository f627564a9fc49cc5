"""The journal of each operation: written before and after each call, and read to resume it."""
