"""Print the figures of the repository: `python -m tests.architecture`."""

from __future__ import annotations

from tests.architecture.copies import copies, service_modules, telling_lines
from tests.architecture.cycles import cycles, product_imports
from tests.architecture.names import homonyms
from tests.architecture.sizes import MEASURES, page_bounds
from tests.architecture.source import ROOT, modules


def main() -> None:
    """Print each size with its bounds, then an import cycle, copied code and class names of several modules."""
    for name, measure in MEASURES.items():
        bound = page_bounds()[name]
        print(f"{name}: {measure(ROOT):,.1f} (now {bound.today:,.1f}, goal {bound.target:,.1f})")
    circles = cycles(product_imports())
    print(f"import cycles: {len(circles)}", *circles, sep="\n  ")
    found = copies([telling_lines(module) for module in service_modules()])
    print(f"runs of six lines in two services: {len(found)}", *found, sep="\n  ")
    twice = homonyms(modules())
    print(f"class names that more than one module gives: {len(twice)}")
    for name, paths in twice.items():
        print(f"  {name}: {', '.join(paths)}")


if __name__ == "__main__":
    main()
