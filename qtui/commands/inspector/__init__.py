"""The inspector: painted first, then given its session."""
