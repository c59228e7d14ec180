"""Spec Kitty Sync: contract, journal, delivery and conformance kit."""
