"""The action remove: jobs of any state, with or without those below them in their flows."""
