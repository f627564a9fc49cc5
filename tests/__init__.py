"""The tests of qtui, on real servers and real queues."""
