"""The conformance kit: judges receivers, producers and migration tools from outside.

Nothing is imported here, because pytest imports this package at every start.
"""
