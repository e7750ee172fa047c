"""What a turn decides: pure functions over values, with no input or output, no clock, no chance."""
