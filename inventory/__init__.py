"""Run time truth: pools, instances, connectivity graph and device registry."""
