"""What a retry is, tested on real servers."""
