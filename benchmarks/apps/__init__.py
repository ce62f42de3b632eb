"""What is measured: each contender as its own documentation writes it."""
