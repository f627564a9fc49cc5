"""The command line, as scripts and people at a terminal use it."""
