"""How different networks are: as functions (disagreement, embeddings) and as weights (similarity)."""
