"""Actions of the whole screens that are opened over the inspector, a module each."""
