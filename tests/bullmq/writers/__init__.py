"""Tests of the writers, on real servers."""
