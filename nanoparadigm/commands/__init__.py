"""The commands: each is a dataclass whose fields are the flags and whose docstring is the help."""

import re

from .audit import Audit
from .compare import Compare
from .demo import Demo
from .diff import Diff
from .doctor import Doctor
from .evaluate import Evaluate
from .grade import Grade
from .prepare import PrepareCheck, PrepareEntropy, PrepareFineweb
from .sample import Infill, Sample
from .study import Study
from .train import Train
from .visualize import Visualize

COMMANDS = {
    re.sub(r"\B(?=[A-Z])", " ", c.__name__).lower(): c
    for c in (
        Train, Sample, Infill, Visualize, Evaluate, Compare, Audit, Grade, Study, Diff,
        Demo, PrepareFineweb, PrepareEntropy, PrepareCheck, Doctor,
    )
}  # fmt: skip
