"""Tables and figures; knows nothing of tfnas."""
