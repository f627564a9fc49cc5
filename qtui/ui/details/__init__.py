"""What a document view shows of one thing: it is read, and read again, in the background."""
