"""Cases and contacts, disease profiles, and the lawful requests for data about them."""
