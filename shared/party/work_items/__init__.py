"""What a provider has to do, location by location: open notices of several notifiers about one are one work item."""
