"""Reads by our own scripts: many jobs, for those who may write; many queues, by EVAL_RO."""
