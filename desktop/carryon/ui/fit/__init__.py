"""The Fit page: what a model needs here or on another machine, how fast it would run, and which quant is best."""
