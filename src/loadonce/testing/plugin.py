"""The pytest plugin: fixtures, imported lazily."""
