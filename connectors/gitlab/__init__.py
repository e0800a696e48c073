"""GitLab: polled for what its webhooks missed, told on issues what became of the work."""
