"""The action on a release that fails its verification."""

from typing import Literal

from pipeline.model import Model


class Verification(Model):
    """The action on a release that fails its verification.

    `on_failed`: `keep` leaves it live, so that it can be examined; `roll_back` puts the release before it back.
    """

    on_failed: Literal["keep", "roll_back"] = "keep"
