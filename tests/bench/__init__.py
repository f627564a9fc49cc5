"""What qtui takes beside the others, measured side by side: `python -m tests.bench`.

A row of the table is a `row.Row` in a module of `rows`. `rounds` does its work in all ways in turn,
`report` prints what it took, and `test_rows` lets each row run in small, and counts.
"""
