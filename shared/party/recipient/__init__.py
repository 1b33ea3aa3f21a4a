"""What every recipient has: subjects received from others, looked at, answered."""
