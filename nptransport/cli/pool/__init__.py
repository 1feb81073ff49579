"""Workers as processes.

registry.py   what a module on the command line offers
crew.py       several processes that are started again when they die
"""
