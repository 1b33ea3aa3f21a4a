"""A party's commands of the program `causeway`.

Each module imports its dependencies only when its command runs.
"""
