"""Salt: self-consistent distribution matching with cache-aware training (arXiv 2604.03118)."""

__version__ = "0.1.0"
