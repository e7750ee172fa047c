"""The thin shell: it performs what the pure half decides, in the order of the guarantee."""
