"""A job's lineage, its children, and a whole flow as a tree. Reads only."""
