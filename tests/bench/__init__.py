"""Measurements: ratios of two things done side by side in one run. Never part of the tests."""
