"""What each command of qtui does once it knows what was asked: reads, plans, retries, prints."""
