"""Writing a new service's package: everything a stranger needs to run, test and publish it."""
