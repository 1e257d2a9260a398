"""Who measures: this process, a fresh one, or a worker on another host; and what keeps them out of each other's way."""
