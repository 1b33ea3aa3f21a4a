"""What every originating service has: its own referrals, their edges, intake and answers.

Hotline and industry both file referrals; the machinery is here once, the two services keep only their doors.
"""
