"""A video from upload to publication, by services of which none knows the others."""
