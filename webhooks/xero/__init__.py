"""Xero's webhooks: hints that an invoice changed there."""
