"""Speed, measured: one file a question, with what we are compared with in the same run. See README.md."""
