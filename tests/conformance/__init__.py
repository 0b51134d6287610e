"""A package, so that its fixtures of package scope end with it: the lab does not run on beside other tests."""
