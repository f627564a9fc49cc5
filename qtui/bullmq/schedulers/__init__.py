"""Job schedulers and legacy repeatable jobs: what they are, when they fire next, how they fare."""
