"""What was foreseen to go wrong: the message says what was wrong and what to do, so nobody needs a traceback.

The command line prints the message alone, a notebook the exception's name and the message.
"""


class Foreseen(Exception):
    def _render_traceback_(self):
        """Asked for by IPython: https://ipython.readthedocs.io/en/stable/config/integrating.html"""
        return [f"{type(self).__name__}: {self}"]
