"""Commands that change jobs of one state: promote and remove."""
