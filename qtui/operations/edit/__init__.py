"""The action edit: data, priority and delay of one job, and a retry in the same step."""
