"""An app with a workflow that bills thousands of invoices: a row for each, and a call for each."""
