"""OpenProject: asked for what changed, told on each work package what became of the invoice."""
