"""What operations did: written before and after, and read again."""
