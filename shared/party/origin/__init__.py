"""What every originating service has: its own referrals, their edges, intake and answers.

Hotline and industry both file referrals: what they do with them is here once, and the two services mount it.
"""
