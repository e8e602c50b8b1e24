"""Makes and judges the two networks: data pool, nets, training, export, evaluation."""
