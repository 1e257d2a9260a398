"""Tasks of networks: data, loss and score, one folder a task.

The package itself imports nothing, because `hwsearch.tasks.inputs` is needed in processes that never load torch.
"""
