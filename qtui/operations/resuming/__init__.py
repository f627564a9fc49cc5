"""Begins the journal of a campaign, and takes over one whose process died, whatever its action."""
