"""Filing: an origin accepts, decides, sends and withdraws referrals, and follows their answers."""
