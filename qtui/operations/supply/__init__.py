"""Which jobs an operation is about, what it wipes of them, and what is left to send."""
