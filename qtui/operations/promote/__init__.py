"""The action promote: delayed jobs run now. Its plan, and how it is resumed."""
