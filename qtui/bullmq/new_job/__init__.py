"""New jobs and changes of old ones: data, options, and what they must be."""
