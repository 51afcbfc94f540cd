"""The Hub and the models that are on the disk: find, look into, download, keep."""
