"""`causeway audit reconcile`: do the counts add up, from records kept apart by different roles?"""
