"""The engine: pure computing, arrays and values in, arrays and values out."""
