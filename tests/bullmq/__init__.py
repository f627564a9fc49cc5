"""Tests of the keyspace library, on real servers."""
