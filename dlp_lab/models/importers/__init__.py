"""Models of other programs as packages of ours. Their files are read as data; nothing in them is ever run."""
