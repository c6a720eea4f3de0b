"""Cases and contacts in the vault, and the lawful requests for what others know about them.

What is personal lies in the room's vault, a key for each case; `book` keeps what is not: pseudonyms, states, times and
who decided. `requests` moves a request on, `work` is the durable clock that escalates, expires and destroys.
"""
