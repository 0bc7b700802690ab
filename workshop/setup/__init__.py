"""The environment, its installation, and `doctor`. Standard library only: there may be no packages yet."""
