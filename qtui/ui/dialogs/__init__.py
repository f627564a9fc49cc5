"""Dialogs: they cover a screen until they are answered."""
