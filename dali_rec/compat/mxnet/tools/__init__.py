"""mx.tools, as far as it packs images."""
