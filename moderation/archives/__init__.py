"""Files that hold the comments of a site: other systems' and our own. One module per format; each yields `Archived`. Pure."""
