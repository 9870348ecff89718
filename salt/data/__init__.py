"""The world that tiny scales learn, its prompts, and the latent shards that training reads."""
