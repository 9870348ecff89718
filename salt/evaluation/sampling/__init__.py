"""From a trained network to videos on the disk: solvers and their noise, sources of latents, first frames, files."""
