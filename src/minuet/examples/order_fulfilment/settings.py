"""How the shop's world behaves: how often payments are declined, goods run short, and partners fail.

Settings travel to worker processes in the environment, one variable each: `seed` is MINUET_ORDER_SEED.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

PREFIX = "MINUET_ORDER_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Rates are shares of all orders, from 0 (never) to 1 (always)."""

    seed: int = 14  # with it the day that is shipped shows every outcome there is
    decline: float = 0.05  # payments that the bank declines
    shortage: float = 0.03  # orders whose goods are not on the shelf
    bank_timeout: float = 0.02  # payments for which the bank does not answer at first
    mail_timeout: float = 0.02  # messages for which the mail gateway does not answer at first
    refusal: float = 0.005  # addresses that take no mail, ever

    def __post_init__(self) -> None:
        """Refuse a rate that is none."""
        for field in fields(self):
            rate = getattr(self, field.name)
            if field.name != "seed" and not 0 <= rate <= 1:
                raise ValueError(f"{field.name} is {rate}; it is a share of all orders, from 0 to 1.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the settings of this process; a variable that is not set leaves its default."""
        found: dict[str, Any] = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            if (text := environment.get(variable)) is None:
                continue
            try:
                found[field.name] = int(text) if field.name == "seed" else float(text)
            except ValueError:
                raise ValueError(f"{variable} is {text!r} in the environment; it must be a number.") from None
        return cls(**found)

    def to_environment(self) -> dict[str, str]:
        """Return the variables that give a worker process these settings."""
        return {PREFIX + field.name.upper(): str(getattr(self, field.name)) for field in fields(self)}
