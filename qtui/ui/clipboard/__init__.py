"""Sending text to the clipboard, and the screen for text that is too long for a line."""
