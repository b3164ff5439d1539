#!/usr/bin/python3
"""Executes a notebook's code cells in order, as Jupyter would; ends with 1 at the first that fails.

Usage: tools/notebook.py NOTEBOOK.ipynb [-o DIR]     figures go to DIR as PNG

Cells are plain Python without magics, so that Python and matplotlib suffice: a Jupyter kernel is 36 Debian packages more.
"""
import argparse
import json
import os
import sys
import time
import traceback

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("notebook")
parser.add_argument("-o", "--output", metavar="DIR", help="where figures go, as PNG")
arguments = parser.parse_args()

try:
    with open(arguments.notebook, encoding="utf-8") as file:
        cells = [cell for cell in json.load(file)["cells"] if cell["cell_type"] == "code"]
    import matplotlib
except (OSError, ValueError, KeyError, ImportError) as error:
    sys.exit(f"{arguments.notebook}: {error}\n  hint: a notebook of format 4, and Debian's python3-matplotlib")

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402: after its backend is chosen

name = os.path.splitext(os.path.basename(arguments.notebook))[0]
if arguments.output:
    os.makedirs(arguments.output, exist_ok=True)
figures = 0


def keep_figures(*_, **__):
    """In place of pyplot.show: each open figure becomes a file, or is drawn and thrown away."""
    global figures
    for number in pyplot.get_fignums():
        figures += 1
        where = os.path.join(arguments.output, f"{name}-{figures:02d}.png") if arguments.output else os.devnull
        pyplot.figure(number).savefig(where, dpi=90, format="png")
    pyplot.close("all")


pyplot.show = keep_figures
space = {"__name__": "__main__"}
for number, cell in enumerate(cells, 1):
    began = time.monotonic()
    source = "".join(cell["source"])
    try:
        exec(compile(source, f"cell {number}", "exec"), space)
        keep_figures()
    except BaseException:  # whatever ends a cell, sys.exit() included, ends the notebook
        traceback.print_exc()
        print(f"{arguments.notebook}: cell {number} failed:\n{source}", file=sys.stderr)
        sys.exit(1)
    print(f"cell {number}: {time.monotonic() - began:.1f} s", file=sys.stderr)
if figures == 0:
    sys.exit(f"{arguments.notebook}: no figure was drawn\n  hint: is anything committed that it can plot?")
print(f"{arguments.notebook}: {len(cells)} cells, {figures} figures")
