"""The one way in which jobs are sent, whatever the operation."""
