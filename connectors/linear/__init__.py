"""Linear: polled for completions that webhooks missed, told on issues of invoices."""
