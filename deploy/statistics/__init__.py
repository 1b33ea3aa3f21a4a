"""Monthly statistics: figures from all origins' databases, merged until none is small."""
