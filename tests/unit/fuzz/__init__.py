"""Tests of the fuzzers, and the replay of what they know."""
