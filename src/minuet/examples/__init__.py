"""Applications to read, run and take from. They use nothing but the public interface."""
