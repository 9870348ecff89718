"""What judges samples: pure functions of tensors, with no module, configuration, device or rank inside."""
