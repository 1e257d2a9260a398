"""The command `hwsearch`: the verbs of the package, with progress on stderr and results on stdout."""
