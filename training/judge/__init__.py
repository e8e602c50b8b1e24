"""The second judge: frames of specimens and optics written apart from the simulator.

Nothing here is trained on, and nothing here imports the simulator: what a network learned of
that simulator's habits does not help it here. `python -m training.judge --help`.
"""
