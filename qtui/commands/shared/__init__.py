"""Shared by the commands: options, output, prompts, and running a campaign."""
