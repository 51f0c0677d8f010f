"""Loopback services for trying fleet out and for its tests: real HTTP, real state, injected faults."""
