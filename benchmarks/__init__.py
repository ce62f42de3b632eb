"""One command, rivals side by side: `scripts/bench`. docs/benchmarks.md says what is measured."""
