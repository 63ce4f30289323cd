"""From the rows of a plan to requests on the wire and receipts in the journal."""
