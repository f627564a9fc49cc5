"""Job schedulers (≥5.16.0) and repeatable jobs (1.x to 5.x): when they run, and whether they do."""
