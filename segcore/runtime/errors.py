"""The exceptions whose text is meant for the user."""


class UserError(Exception):
    """Something the user can put right. The text says what is wrong, where, and what to do."""


class Unanswered(UserError):
    """A different process of the same stage has ended, or does not answer."""
