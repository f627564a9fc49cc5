"""Takes back what an operation did, from its journal, as an action for the engine."""
