"""GitHub: told on issues, milestones, releases and deployments what became of the work."""
