"""Azure DevOps: polled for changes that webhooks missed, told on work items of invoices."""
