"""What Slipway costs, beside what people write instead: `make bench`. Figures, not tests: nothing here passes or fails."""
