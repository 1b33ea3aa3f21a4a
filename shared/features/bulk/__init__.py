"""Many acts in one request, and notices grouped by location."""
