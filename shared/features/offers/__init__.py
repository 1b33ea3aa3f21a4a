"""Offers of referrals to hotlines, from other origins: a hotline receives and claims them."""
