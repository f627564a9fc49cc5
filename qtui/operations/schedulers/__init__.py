"""Actions on schedulers: run now, remove, revive."""
