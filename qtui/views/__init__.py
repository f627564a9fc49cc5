"""What a screen shows, without widgets: lists of jobs, marks, documents, and the poll."""
