"""Working with hospitals: subscriptions, referrals, follow-up."""
