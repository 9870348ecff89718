"""The terms of the generator's loss: `objectives.NAME` -> `NAME.py` here, which feeds the loss in `salt/objectives`.

A new objective is a section of the configuration, its loss as a function of tensors, its term, and a line here.
"""

from collections.abc import Callable
from typing import Any

from salt.config.objectives import Objectives
from salt.methods.terms.adversarial import AdversarialTerm
from salt.methods.terms.align import Alignment
from salt.methods.terms.dmd import DistributionMatching
from salt.methods.terms.protocol import Components, Output, Term
from salt.methods.terms.sc import SelfConsistency
from salt.methods.terms.scm import ContinuousConsistency

__all__ = ["TERMS", "Components", "Output", "Term", "build_terms"]

TERMS: dict[str, Callable[[Any, Components], Term]] = {
    "dmd": DistributionMatching,
    "sc": SelfConsistency,
    "align": Alignment,
    "scm": ContinuousConsistency,
    "adversarial": AdversarialTerm,
}
"""Section of `objectives` -> its term, made from the section and what terms share. They are added in this order."""


def build_terms(objectives: Objectives, components: Components) -> tuple[Term, ...]:
    """The terms of an experiment's objectives, in the order of `TERMS`; a weight of 0 leaves a term out.

    But for the weight of dmd, which drives: it always acts, so that every update has a loss.
    """
    acting = objectives.acting()
    return tuple(make(acting[name], components) for name, make in TERMS.items() if name in acting)
