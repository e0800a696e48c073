"""Tryton: drafts in the accounting of a company, over JSON-RPC."""
