"""From a trained network to videos on disk: solvers and their noise, sources of latents, first frames, files."""
