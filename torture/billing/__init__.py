"""A billing system that misbehaves: it keeps what it was told, and answers as badly as it can."""
