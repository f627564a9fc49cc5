"""The actions add and duplicate: a new job, from nothing or from an old one."""
