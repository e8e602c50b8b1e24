"""Controllers of the trade in software: each speaks its real wire and moves a simulated axis."""
