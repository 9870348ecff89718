"""What a target will cost before it is run: operations, memory and disk, and the jobs that Snakemake plans."""
