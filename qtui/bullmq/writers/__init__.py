"""The only modules that write to Redis: one an action, each call one atomic script from ``lua/``.

A read-only session makes no writer, and a profile that allows some actions only theirs. A call
whose reply is lost is never sent again from here: its effect is unknown until the jobs' states have
been read.
"""
