"""What a study found, as one page and as figures. Importing it loads neither matplotlib nor jinja2."""

from netspace.report.figures import (
    complexity_figure,
    cost_figure,
    edf_figure,
    importance_figure,
    learning_curve_figure,
    marginal_figure,
    parameter_figure,
    staircase_figure,
)
from netspace.report.page import StudyReport, render
from netspace.report.writing import write_report

__all__ = [
    "StudyReport",
    "complexity_figure",
    "cost_figure",
    "edf_figure",
    "importance_figure",
    "learning_curve_figure",
    "marginal_figure",
    "parameter_figure",
    "render",
    "staircase_figure",
    "write_report",
]
