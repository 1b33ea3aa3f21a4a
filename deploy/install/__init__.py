"""Files that start an instance without a development stack: units, containers, and their installation."""
