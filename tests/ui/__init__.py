"""Tests of the screen, through keys and lines."""
