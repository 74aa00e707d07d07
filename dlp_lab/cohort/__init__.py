"""Many cases at once: one job of the queue and one executed notebook for each, one table of them all."""
