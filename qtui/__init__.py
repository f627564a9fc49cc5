"""qtui: a terminal inspector for BullMQ job queues."""

__version__ = "0.1.0"

RELEASES = (
    "BullMQ for Node.js 1.91.1, 2.4.0, 3.13.0, 3.16.2, 4.0.0, 4.18.3, 5.0.0, 5.16.0, 5.41.8, "
    "5.58.1, 5.76.0, 5.81.5, 6.0.0, 6.7.0; for Python 3.4.4"
)
"""The BullMQ releases against which every retry is compared; see tests/oracle."""
