"""The product on a grid of instruments: what it owes on each, measured on the second judge."""
