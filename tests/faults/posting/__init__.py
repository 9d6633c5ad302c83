"""An app with one workflow of short DATABASE steps, which share a transaction."""
