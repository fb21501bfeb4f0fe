"""`python -m orders.access` prints the table of docs/access.md."""

from orders.access import as_markdown

print(as_markdown())
