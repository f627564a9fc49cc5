"""The screen: everything that draws and everything that takes keys."""
