"""Which wrong answers would the cases of an exercise let pass? A script, to be run by hand.

python tests/exercises/mutate.py                 all exercises
python tests/exercises/mutate.py subs entropy    these

It takes the source of the reference and of what it calls in the same file, makes one small change
to it after another (a factor is left out, a sign turned, an argument replaced by the value that it
has in the first case, a clamp or an absolute value put in, ...) and lists the changed references
that the cases do not tell from the right one: `seed 0` if other seeds do, `always` if they do not.
Many of them are right: to tell them apart takes a person. For each that is wrong on something the
exercise allows, add a case.
"""

import ast
import contextlib
import copy
import functools
import inspect
import sys
import warnings

import torch

from nanoparadigm.exercises import ALL, CHAPTERS
from nanoparadigm.exercises.grader import numbers, same
from nanoparadigm.explain.calling import TooLong, Unusable, limited

SEEDS = range(1, 9)
PATIENCE = 5  # seconds for one mutant on all cases


# ------------------------------------------------------------------------------------- the changes

SWAPS = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Div],
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}
WRAPPERS = """
    -({}) abs({}) at_least({},0.1) at_least({},0.01) at_least({},0.001) at_most({},1) ({})+0.001
    normalised({}) turned({}) averaged({})
""".split()


def floating(function):
    """The function for a float, or a tensor of floats; for all else it stops."""

    @functools.wraps(function)
    def wrapped(x, *rest):
        if isinstance(x, float):
            x = torch.tensor(x, dtype=torch.float64)
        if not x.is_floating_point() or not rest and x.shape[-1] == 1:
            raise TypeError
        return function(x, *rest)

    return wrapped


HELPERS = dict(
    at_least=floating(lambda x, low: x.clamp(min=low)),
    at_most=floating(lambda x, high: x.clamp(max=high)),
    normalised=floating(lambda x: x / x.sum(-1, keepdim=True)),
    turned=floating(lambda x: x.flip(-1)),
    averaged=floating(lambda x: x.mean(-1, keepdim=True).expand_as(x)),
)


def changes(node, names, wrapped):
    """Yield (node that could stand in the place of an expression, what it is called).

    names: of the arguments. wrapped: whether it may be wrapped in a function.
    """
    for new in others(node, names):
        yield new, ast.unparse(ast.fix_missing_locations(new))
    if wrapped or isinstance(node, ast.Name) and node.id in names:
        for wrapper in WRAPPERS:
            yield Filled(node).visit(parse(wrapper.format("HOLE"))), wrapper.format("_")


def others(node, names):
    if isinstance(node, ast.BinOp):
        yield node.left
        yield node.right
        for op in SWAPS.get(type(node.op), []):
            yield ast.BinOp(node.left, op(), node.right)
        if isinstance(node.op, ast.Sub | ast.Div | ast.MatMult | ast.Pow):
            yield ast.BinOp(node.right, node.op, node.left)
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for op in SWAPS.get(type(node.ops[0]), []):
            yield ast.Compare(node.left, [op()], node.comparators)
        yield ast.Constant(True)
        yield ast.Constant(False)
    if isinstance(node, ast.BoolOp):
        yield from node.values
    if isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from (ast.Constant(v) for v in (node.value + 1, node.value - 1, 2 * node.value))
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
            yield node.func.value  # x.sum(1) -> x
        elif isinstance(node.func, ast.Attribute) and node.func.value.id in names:
            yield node.func.value
        for n in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, node.keywords[:n] + node.keywords[n + 1 :])
        for n in range(len(node.args)):
            yield ast.Call(node.func, node.args[:n] + node.args[n + 1 :], node.keywords)
            if n:
                args = [*node.args]
                args[n - 1], args[n] = args[n], args[n - 1]
                yield ast.Call(node.func, args, node.keywords)
        if len(node.args) == 1:
            yield node.args[0]
    if isinstance(node, ast.Subscript):
        yield node.value
    if isinstance(node, ast.Slice):
        yield ast.Slice(node.lower, None, node.step)
        yield ast.Slice(None, node.upper, node.step)
    if isinstance(node, ast.Name) and node.id in names:
        for n, other in enumerate(names):
            yield ast.Name(other) if other != node.id else parse(f"FIRST[{n}]")
        yield from (ast.Constant(0.0), ast.Constant(1.0))


class Filled(ast.NodeTransformer):
    """Puts a node where HOLE stands."""

    def __init__(self, node):
        self.node = node

    def visit_Name(self, name):
        return self.node if name.id == "HOLE" else name


def parse(source):
    return ast.parse(source, mode="eval").body


def spots(tree):
    """Every (node, field, index or None) where a statement or an expression stands."""
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            for n, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(node, ast.FunctionDef) and field != "body":
                    continue
                if isinstance(node, ast.Call) and field == "func":
                    continue
                if isinstance(item, ast.stmt) and len(value) == 1 or isinstance(item, ast.Starred):
                    continue
                if isinstance(getattr(item, "ctx", None), ast.Store):
                    continue
                if isinstance(item, ast.Expr) or isinstance(node, ast.Expr):  # a docstring
                    continue
                if isinstance(item, ast.stmt | ast.expr):
                    yield node, field, n


def options(spot, names):
    """What could stand at a spot: (node, what it is called)."""
    node, field, n = spot
    old = getattr(node, field) if n is None else getattr(node, field)[n]
    if isinstance(old, ast.stmt):
        return old, [(ast.Pass(), "left out")]
    below = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and field == "right"
    return old, [*changes(old, names, below or isinstance(node, ast.Return | ast.Lambda))]


def mutants(tree, names):
    """Yield (changed tree, what stood there, what does now) for each small change to a function."""
    for place, spot in enumerate([*spots(tree)]):
        old, new = options(spot, names)
        for number, (_, what) in enumerate(new):
            changed = copy.deepcopy(tree)
            node, field, n = [*spots(changed)][place]
            _, again = options((node, field, n), names)
            if what == ast.unparse(old):
                continue
            if n is None:
                setattr(node, field, again[number][0])
            else:
                getattr(node, field)[n] = again[number][0]
            yield ast.fix_missing_locations(changed), ast.unparse(old), what


# ------------------------------------------------------------------------------------- the sources


def answers(name):
    """The module of an exercise, and the syntax tree of its reference: a name or a lambda."""
    module = next(c for c in CHAPTERS.values() if name in c.EXERCISES)
    tree = ast.parse(inspect.getsource(module))
    functions = {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if getattr(key, "value", None) == name and isinstance(value, ast.Call):
                    given = {word.arg: word.value for word in value.keywords}
                    return module, functions, (value.args or [given.get("reference")])[0]
    raise SystemExit(f"{name}: no source of its reference was found")


def called(tree, functions):
    """The functions of a module that a tree calls, and that those call."""
    found, new = [], [tree]
    while new:
        for node in ast.walk(new.pop()):
            if isinstance(node, ast.Name) and node.id in functions and node.id not in found:
                found.append(node.id)
                new.append(functions[node.id])
    return found


def changed_references(name):
    """Yield (what stood there, what does now, the changed reference) of an exercise."""
    module, functions, reference = answers(name)
    names = [*inspect.signature(ALL[name].reference).parameters]
    first = ALL[name].cases()[0]
    needed = called(reference, functions)

    def run(replaced, expression):
        space = {**vars(module), **HELPERS, "FIRST": first}
        for tree in (replaced.get(f, functions[f]) for f in functions if f in needed):
            code = ast.Module([tree], [])
            exec(compile(ast.fix_missing_locations(code), "mutant", "exec"), space)
        return eval(compile(ast.Expression(expression), "mutant", "eval"), space)

    for function in needed:
        arguments = [a.arg for a in functions[function].args.args]
        own = names if function == getattr(reference, "id", None) else arguments
        for tree, old, new in mutants(functions[function], own):
            with contextlib.suppress(Exception):
                yield f"{function}: {old}", new, run({function: tree}, reference)
    if isinstance(reference, ast.Lambda):
        for tree, old, new in mutants(ast.Expression(reference), names):
            with contextlib.suppress(Exception):
                yield f"lambda: {old}", new, run({}, tree.body)


# ------------------------------------------------------------------------------------- the search


@functools.cache
def tried(name, seed):
    """The cases of a seed, and what the reference says of each."""
    exercise = ALL[name]
    cases = exercise.cases(seed)
    return cases, [numbers(exercise, exercise.reference, case) for case in cases]


def passes(name, answer, seed):
    """Whether an answer is taken for right on the cases of a seed."""
    exercise, pairs = ALL[name], zip(*tried(name, seed), strict=True)
    try:
        with limited(PATIENCE):
            return all(same(exercise, numbers(exercise, answer, c), right) for c, right in pairs)
    except (Unusable, TooLong):
        return False


def main(names):
    warnings.simplefilter("ignore")
    for name in names or ALL:
        tried(name, 0)
        count, found = 0, {}
        for old, new, answer in changed_references(name):
            count += 1
            if passes(name, answer, 0):
                always = all(passes(name, answer, seed) for seed in SEEDS)
                found.setdefault((old, "always" if always else "seed 0"), []).append(new)
        print(f"\n{name}: {count} mutants, {sum(map(len, found.values()))} pass", flush=True)
        for (old, when), new in found.items():
            print(f"  {when:7}{old}  ->  {' | '.join(dict.fromkeys(new))}")


if __name__ == "__main__":
    main(sys.argv[1:])
