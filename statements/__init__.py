"""What the bank says: statements of an account, read into entries."""
