"""Work items of a provider: the open notices of all notifiers about one location are one work item."""
