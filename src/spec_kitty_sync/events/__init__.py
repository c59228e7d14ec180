"""The event contract of Spec Kitty: models, lanes, payloads, reducers. Pure: no I/O."""
