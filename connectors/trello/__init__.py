"""Trello: polled for missed moves of cards, told by a comment on the card."""
