"""The nurses' and doctors' desk: alerts, who is overdue, referrals."""
