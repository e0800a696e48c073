"""Gitea and Forgejo: polled for tracked times and missed webhooks, told on issues."""
