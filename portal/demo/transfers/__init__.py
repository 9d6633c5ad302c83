"""Invoices that clients pay by bank transfer: a run waits for the bank's notice, but not for ever."""
