"""The retry: what the engine carries, and how one that was cut off goes on."""
