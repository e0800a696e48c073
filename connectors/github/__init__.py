"""GitHub: polled for what its webhooks missed, told what became of the work."""
