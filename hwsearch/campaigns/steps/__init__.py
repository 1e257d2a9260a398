"""Steps: the verbs that work on a campaign, one file each."""
