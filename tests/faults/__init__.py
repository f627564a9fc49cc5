"""Campaigns through the faults of real servers: failovers, restarts, refusals, resharding."""
