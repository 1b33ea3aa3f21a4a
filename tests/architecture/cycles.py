"""Import cycles: modules that reach each other, in the graph from which import-linter reads its contracts."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp

from tests.architecture.source import PRODUCT


def product_imports() -> grimp.ImportGraph:
    """Return the import graph of the product. Imports within functions or for types only count as well."""
    return grimp.build_graph(*PRODUCT, cache_dir=None)


def cycles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return one cycle of imports, from a module back to itself, or nothing if there is none."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return [error.args[1]]
    return []
