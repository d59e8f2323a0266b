"""HTTP layer: turns each request into a call of `hub.core`, and its result into a response."""
