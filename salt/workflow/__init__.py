"""What the rules of `workflow/` read: the settings of a run, what decides each output, where it lies, what a job asks.

Snakemake parses the rules anew for every job, so nothing here imports torch.
"""
