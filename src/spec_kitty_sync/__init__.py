"""Spec Kitty Sync: contract, journal, delivery and conformance kit."""

__version__ = "0.1.0"
