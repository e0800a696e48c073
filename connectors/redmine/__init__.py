"""Redmine: asked for what changed, told on each issue what became of the invoice."""
