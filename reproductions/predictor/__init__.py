"""Tables of the transferable predictor (Han et al. 2023)."""
