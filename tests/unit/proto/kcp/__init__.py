"""Tests of KCP and its error correction."""
