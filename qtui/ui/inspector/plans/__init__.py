"""The plans that the inspector opens, and what is done when they are confirmed."""
