"""The embedding promise: a program of yours focuses, in ten lines. Run: python examples/embed.py

With a config (`sparsefocus init` writes one): python examples/embed.py scanner.yaml
"""

import sys

import sparsefocus

config = {"config": sys.argv[1]} if len(sys.argv) > 1 else {"simulate": True}
with sparsefocus.open(**config) as microscope:
    outcome = microscope.focus()
    print(outcome.decision, outcome.reason, f"z = {microscope.z_um:.2f} um")
