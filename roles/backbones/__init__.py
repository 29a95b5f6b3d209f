"""Minds: one a file."""
