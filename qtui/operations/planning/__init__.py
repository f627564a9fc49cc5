"""What a retry will do, before it is done."""
