"""City profiles, and the one simulated city that demos, benchmarks and tests sample.

`hanmaru.city.profile` says what a city is, `hanmaru.city.build` makes it (roads, places, people), and
`hanmaru.city.demo` lets it live on the hub. Everything is a function of the profile's seed and of time: the same
question asked twice, in two processes, before or after a restart, has the same answer.
"""
