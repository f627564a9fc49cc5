"""Begins the journal of a campaign of any action, and takes over one whose process died."""
