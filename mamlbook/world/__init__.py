"""A world with dials: images whose tasks have the hardness and the geography of Section 3.

Environment -> rendered images -> networks -> position and kernel -> rows.
"""
