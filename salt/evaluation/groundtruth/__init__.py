"""The ground-truth scorer of the procedural world: VBench's dimensions from frames explained by rendering."""
