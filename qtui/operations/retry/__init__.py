"""The retry of finished jobs, as an action for the engine, and how one is resumed."""
