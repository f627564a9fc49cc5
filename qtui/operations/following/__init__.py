"""The outcomes of jobs after they were retried."""
