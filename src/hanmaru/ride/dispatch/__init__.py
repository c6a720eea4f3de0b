"""The dispatcher's process: it decides, writes down what it decided, and only then answers."""
