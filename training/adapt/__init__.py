"""The networks, adapted to an instrument nobody has seen, from a few of its z-stacks."""
