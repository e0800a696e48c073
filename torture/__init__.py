"""`make torture`: tries to lose work or to bill it twice, and counts how often that came off."""
