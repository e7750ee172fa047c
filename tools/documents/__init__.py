"""The documents run: their blocks are executed, and what they show as output is what came out."""
