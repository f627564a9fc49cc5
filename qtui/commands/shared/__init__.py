"""What commands share: options, output, questions, the run of a campaign."""
