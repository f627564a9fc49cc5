"""The screen of a flow, and its rerun."""
