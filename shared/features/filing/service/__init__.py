"""The use cases of filing."""
