"""qtui: a terminal inspector for BullMQ job queues."""

__version__ = "0.1.0"
