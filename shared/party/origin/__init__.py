"""The common part of every originating service: its own referrals, their edges, intake and answers.

Hotline and industry services both file referrals, and both use this package.
"""
