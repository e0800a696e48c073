"""Xero: drafts as sales invoices, and what became of them."""
