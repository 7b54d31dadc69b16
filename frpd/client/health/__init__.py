"""Whether local services are well: checks, and what watches them."""
