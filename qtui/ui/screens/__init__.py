"""Whole screens: each arranges widgets and turns keys into work."""
