"""A test city whose truth is known: what its people do, and what phones, cards and cameras see of it."""
