"""Import cycles: modules that reach each other, in the graph from which import-linter reads its contracts."""

from __future__ import annotations

import grimp

from tests.architecture.source import PRODUCT


def product_imports() -> grimp.ImportGraph:
    """Return the import graph of the product. Imports within functions or for types only count as well."""
    return grimp.build_graph(*PRODUCT, cache_dir=None)


def cycles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return the strongly connected components of several modules, or of one that imports itself; all sorted."""
    imports = {module: sorted(graph.find_modules_directly_imported_by(module)) for module in sorted(graph.modules)}
    return sorted(
        sorted(component)
        for component in _components(imports)
        if len(component) > 1 or component[0] in imports[component[0]]
    )


def _components(imports: dict[str, list[str]]) -> list[list[str]]:
    """Return components by Kosaraju's two walks.

    The second walk goes against the edges, from the last finished node.
    """
    importers: dict[str, list[str]] = {module: [] for module in imports}
    for module, imported in imports.items():
        for each in imported:
            importers[each].append(module)
    finished: list[str] = []
    seen: set[str] = set()
    for module in imports:
        finished += _finishing(module, imports, seen)
    seen.clear()
    return [found for module in reversed(finished) if (found := _finishing(module, importers, seen))]


def _finishing(start: str, arrows: dict[str, list[str]], seen: set[str]) -> list[str]:
    """Return the nodes that a depth-first walk from `start` newly reaches, in finishing order.

    There is no recursion, because the longest import chain may exceed the interpreter's stack.
    """
    if start in seen:
        return []
    seen.add(start)
    finished, path = [], [(start, iter(arrows[start]))]
    while path:
        module, following = path[-1]
        unseen = next((each for each in following if each not in seen), None)
        if unseen is None:
            finished.append(module)
            path.pop()
        else:
            seen.add(unseen)
            path.append((unseen, iter(arrows[unseen])))
    return finished
