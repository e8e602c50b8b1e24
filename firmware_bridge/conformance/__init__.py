"""A conformance suite for firmwares of the binary protocol: PROTOCOL.md as questions on a wire."""
