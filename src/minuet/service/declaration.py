"""What is being declared and where, for the sentence that refuses it."""

from typing import NamedTuple

from minuet.errors import DeclarationError, Place


class Declared(NamedTuple):
    """The subject of every refusal: `Reaction payments.charge`, at `shop/payments.py:12`."""

    subject: str
    place: Place

    def refuse(self, why: str) -> DeclarationError:
        """The error to raise: place, subject, and what is wrong with it."""
        return DeclarationError(f"{self.subject} {why}", self.place)
