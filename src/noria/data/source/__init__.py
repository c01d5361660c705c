"""Where rows come from: one kind of source a file, and the readers of files that they share."""
