"""The nightly batch: hundreds of invoices, each charged and posted on its own, and a report of the missing ones."""
