"""`sparsefocus bench`: how long a frame takes, beside other ways to do the same and the floors.

Everything is measured in one run and in turn, so that what else the machine does hits all alike.
"""
