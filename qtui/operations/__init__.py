"""What a retry is, without widgets: chosen jobs, a plan, a campaign, and what came of it."""
