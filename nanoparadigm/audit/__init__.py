"""The auditor: what is wrong with the number that somebody's scoring function returns."""

from .asking import UNITS
from .checks import NAMES, Fault
from .examples import INVALID, VALID
from .networks import TEXTS, Model, models
from .report import Report, audit, confusion

__all__ = [
    "INVALID",
    "NAMES",
    "TEXTS",
    "UNITS",
    "VALID",
    "Fault",
    "Model",
    "Report",
    "audit",
    "confusion",
    "models",
]
