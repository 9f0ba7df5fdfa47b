"""Architectures and models as graphs: of operators, packed, as GraphTensors, cut into motifs."""
