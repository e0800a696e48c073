"""Clockify: polled for missed entries, listed for certificates, told by a tag on the entry."""
