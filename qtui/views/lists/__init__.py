"""A list of jobs: a window over a state, what a filter finds, marks and results."""
