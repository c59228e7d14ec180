"""What an event is: the contract's models, registry, reducers and validation. Pure."""
