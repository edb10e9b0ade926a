"""Models: contracts, networks, likelihoods, corruptions, penalties, variants, inference."""
