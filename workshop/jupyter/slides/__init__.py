"""A chapter as slides: `deck` prepares the cells, `template` makes a file of them that needs no network."""
