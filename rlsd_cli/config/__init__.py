"""The run configuration: typed sections and how layers of them are merged."""
