"""In which order the cells of a grid are visited: island by island, each in a snake.

Both axes move at once, so a way counts by its longer side. The first island is the one with most
content: focus is found where there is something to see. The others follow so that little is
travelled; each is entered at the corner that suits the way before and after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

Cell = tuple[int, int]  # row, column
Place = tuple[float, float]  # x, y in um
_ROUNDS = 20  # of swapping islands; far more than a slide needs
_LEAST_UM = 1e-6  # a swap must gain more, or rounding would swap for ever


def distance_um(a: Place, b: Place) -> float:
    """What the slower axis travels."""
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]))


def travel_um(places: Sequence[Place]) -> float:
    """Of a whole route."""
    return sum(distance_um(a, b) for a, b in pairwise(places))


def in_order(content: Mapping[Cell, float], place: Callable[[Cell], Place]) -> list[Cell]:
    """The cells of `content`, each once, as they are to be visited. Equal input, equal order."""
    groups = islands(content)
    if not groups:
        return []
    groups.sort(key=lambda island: (-sum(content[cell] for cell in island), island))
    sequence = _islands_in_order(groups, place)
    return _joined([snakes(island, place) for island in sequence], place)


def islands(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells that touch, corners included, belong together; sorted."""
    left = set(cells)
    groups = []
    while left:
        seed = min(left)
        left.discard(seed)
        island, edge = [seed], [seed]
        while edge:
            for cell in neighbours(edge.pop()):
                if cell in left:
                    left.discard(cell)
                    island.append(cell)
                    edge.append(cell)
        groups.append(sorted(island))
    return groups


def neighbours(cell: Cell) -> list[Cell]:
    """The eight cells around one."""
    row, column = cell
    return [(row + dr, column + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1) if (dr, dc) != (0, 0)]


def snakes(island: Sequence[Cell], place: Callable[[Cell], Place]) -> list[list[Cell]]:
    """Four ways through an island row by row: from either end of the first or the last row. Each
    further row begins at the end that is nearer."""
    rows: dict[int, list[Cell]] = {}
    for cell in sorted(island):
        rows.setdefault(cell[0], []).append(cell)
    ways = []
    for upwards in (False, True):
        for backwards in (False, True):
            way: list[Cell] = []
            for number in sorted(rows, reverse=upwards):
                row = rows[number]
                if way:
                    here = place(way[-1])
                    turned = distance_um(here, place(row[-1])) < distance_um(here, place(row[0]))
                else:
                    turned = backwards
                way += row[::-1] if turned else row
            ways.append(way)
    return ways


def _islands_in_order(
    groups: Sequence[Sequence[Cell]], place: Callable[[Cell], Place]
) -> list[Sequence[Cell]]:
    """The first stays first; the nearest follows each, then stretches are turned round as long as
    that saves travel (2-opt)."""
    centres = [_centre(island, place) for island in groups]
    order, left = [0], list(range(1, len(groups)))
    while left:
        here = centres[order[-1]]
        nearest = min(left, key=lambda i: (distance_um(here, centres[i]), i))
        left.remove(nearest)
        order.append(nearest)
    for _ in range(_ROUNDS):
        if not _turn_one_round(order, centres):
            break
    return [groups[i] for i in order]


def _turn_one_round(order: list[int], centres: Sequence[Place]) -> bool:
    """Turn every stretch round whose turning saves travel; False when there is none."""
    gained = False
    for i in range(1, len(order) - 1):
        for j in range(i + 1, len(order)):
            before, first, last = (centres[order[k]] for k in (i - 1, i, j))
            saved = distance_um(before, first) - distance_um(before, last)
            if j + 1 < len(order):
                after = centres[order[j + 1]]
                saved += distance_um(last, after) - distance_um(first, after)
            if saved > _LEAST_UM:
                order[i : j + 1] = order[i : j + 1][::-1]
                gained = True
    return gained


def _centre(island: Sequence[Cell], place: Callable[[Cell], Place]) -> Place:
    places = [place(cell) for cell in island]
    n = len(places)
    return sum(x for x, _ in places) / n, sum(y for _, y in places) / n


def _joined(choices: Sequence[list[list[Cell]]], place: Callable[[Cell], Place]) -> list[Cell]:
    """One way through each island so that all ways together are the shortest."""
    best: list[tuple[float, list[int]]] = [
        (_length_um(way, place), [k]) for k, way in enumerate(choices[0])
    ]
    for number in range(1, len(choices)):
        longer = []
        for k, way in enumerate(choices[number]):
            own_um = _length_um(way, place)
            candidates = [
                (so_far + distance_um(place(choices[number - 1][i][-1]), place(way[0])) + own_um, i)
                for i, (so_far, _) in enumerate(best)
            ]
            total, i = min(candidates)
            longer.append((total, [*best[i][1], k]))
        best = longer
    _, chosen = min(best)
    return [cell for ways, k in zip(choices, chosen, strict=True) for cell in ways[k]]


def _length_um(way: Sequence[Cell], place: Callable[[Cell], Place]) -> float:
    return travel_um([place(cell) for cell in way])
