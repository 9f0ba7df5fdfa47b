"""Motifs of computation graphs: mined, cut out and coloured."""
