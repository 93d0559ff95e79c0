"""Mutants of circuits and gadgets: the changes of a Go file that take from what it constrains."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mutation.source import WEAKER, Mutant, closing, in_order, parts

_COMMENT = re.compile(r"//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|'(?:\\.|[^'\\\n])+'")
_FUNCTION = re.compile(r"^func (?:\([^)]*\) )?(\w+).*?(?:^\}|(?<=\})\n(?=\n|$))", re.M | re.S)
_TABLE = re.compile(r"^(const|var) (?:\((.*?)^\)|([^\n]*(?:\n\t[^\n]*)*))", re.M | re.S)
_NUMBER = re.compile(r"(?<![\w.])([1-9]\d*)(?![\w.])")
_STATEMENT = re.compile(r"\n(\t+)((?:\w+\.)*(\w+))\(")
_VALUE = r"(?:\b((?:\w+\.)*api)\.(Mul|Select|DivUnchecked|Inverse)|\bselector\.BinaryMux)\("
_IF = re.compile(r"\bif ([^;\n]+) \{\n")
_FOR = re.compile(r"\bfor \w+ :?= [^;\n]*; ([^;\n]+?) (?:<=?) ")
_RANGE = re.compile(r"\bfor (?:(\w+)(, \w+)? := )?range ([^\n]+) \{\n(\t+)")
_OUTER = re.compile(r"[\w.]*\bapi\.(AssertIsEqual|Add|Sub)\((?:[\w.\[\]]+, *)?$")
_SUM = re.compile(r"\bapi\.(Add|Sub|Mul)\(")
_COMPARISON = re.compile(r" (<=|>=|<|>) ")
_LITERAL = re.compile(
    r"-?\d+|len\(.*|integer\.PowerOfTwo\(.*|tree\.\w+(\(.*)?|kinds\.\w+|g\.\w+\[.*"
)
_GOES_ON = ",(=+-*/&|.["
_NO_CONSTRAINTS = {"panic", "copy", "delete", "append"}


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a Go file, in the order of their places; comments are left alone.

    In functions that constrain: what stands as a statement of its own is dropped, an assertion in
    such a way that its arguments still stand in a constraint; bits lose their booleanity and
    widths grow by one; products, choices and inverses lose what ties them to their operands;
    conditions are fixed; comparisons are weakened; numbers in sums are off by one; loops end one
    round earlier. At the top level, numbers of constants and tables are off by one.
    """
    code = _COMMENT.sub(lambda match: " " * len(match[0]), source)
    return in_order(_all(code))


def _all(code: str) -> Iterator[Mutant]:
    for function in _FUNCTION.finditer(code):
        text = function[0]
        if not re.search(r"\bapi\b", text) and (
            "frontend.Variable" not in text or re.match(r"New|new|Set|set", function[1])
        ):
            continue
        for rule in (_statements, _bits, _values, _conditions, _numbers, _loops):
            yield from rule(code, function.start(), function.end())
    for table in _TABLE.finditer(code):
        yield from _table(code, table.start(), table.end())


def _arguments(code: str, bracket: int) -> list[str]:
    end = closing(code, bracket)
    found = parts(code, bracket + 1, end, ",")
    return [code[begin:stop].strip() for begin, stop in found if code[begin:stop].strip()]


def _statements(code: str, start: int, end: int) -> Iterator[Mutant]:
    """Calls whose results nobody takes: they can only constrain, or note something."""
    for match in _STATEMENT.finditer(code, start, end):
        callee, name, bracket = match[2], match[3], match.end() - 1
        stop = closing(code, bracket) + 1
        if not _alone(code, match.start(2), stop) or name in _NO_CONSTRAINTS:
            continue
        text = _without(callee, name, _arguments(code, bracket))
        yield Mutant(match.start(2), stop, text, "constraint dropped", "statement")


def _alone(code: str, begin: int, stop: int) -> bool:
    """Whether a call is a statement of its own: neither part of a line nor of the one before."""
    before = code[:begin].rstrip("\t ")
    return before.endswith("\n") and before.rstrip()[-1] not in _GOES_ON and code[stop] == "\n"


def _without(callee: str, name: str, arguments: list[str]) -> str:
    """A statement that constrains nothing and uses what the dropped one used."""
    if name.startswith("AssertIs"):
        api = callee.rpartition(".")[0]
        kept = [argument for argument in arguments if not _LITERAL.fullmatch(argument)]
        return f"{api}.Mul({kept[0]}, {kept[-1]})"
    return f"mutantDropped({', '.join([callee, *arguments])})"


def _calls(pattern: str, code: str, start: int, end: int) -> Iterator[tuple[re.Match[str], int]]:
    """Calls whose beginning is of a pattern that ends with the bracket, and where they end."""
    for match in re.compile(pattern).finditer(code, start, end):
        yield match, closing(code, match.end() - 1) + 1


def _bits(code: str, start: int, end: int) -> Iterator[Mutant]:
    rule = "booleanity dropped"
    for match, stop in _calls(r"\binteger\.FromBits\(", code, start, end):
        text = f"integer.Weighted({code[match.end() : stop]}"
        yield Mutant(match.start(), stop, text, rule, "value")
    for match, stop in _calls(r"\bselector\.BinaryMux\(", code, start, end):
        text = f"mutantMux({code[match.end() : stop]}"
        yield Mutant(match.start(), stop, text, rule, "value")
    for match, stop in _calls(r"\b((?:\w+\.)*api)\.ToBinary\(", code, start, end):
        value, width = _arguments(code, match.end() - 1)
        text = f"mutantBits({match[1]}, {value}, {width})"
        yield Mutant(match.start(), stop, text, rule, "bits")
        text = f"{match[1]}.ToBinary(mutantLoose({match[1]}, {value}), {width})"
        yield Mutant(match.start(), stop, text, "value untied", "bits")
        yield Mutant(stop - 1, stop - 1, "+1", "width raised", "extra")
    for match, stop in _calls(r"\bRequire(?:Bits|Below)\(", code, start, end):
        if "frontend" not in code[match.end() : stop]:  # not the declaration
            yield Mutant(stop - 1, stop - 1, "+1", "width raised", "extra")


def _values(code: str, start: int, end: int) -> Iterator[Mutant]:
    for match, stop in _calls(_VALUE, code, start, end):
        arguments, begin = _arguments(code, match.end() - 1), match.start()
        api = match[1] or arguments[0]
        operands = [a for a in arguments if not _LITERAL.fullmatch(a)]
        linear = match[2] == "Mul" and len(operands) < 2
        if not linear and not _alone(code, begin, stop) and not _asserted(code, begin):
            text = f"mutantLoose({api}, {code[begin:stop]})"
            yield Mutant(begin, stop, text, "value untied", "value")
        if match[2] == "Select":
            place = code.index(arguments[0], match.end())
            for n in (0, 1):
                text = f"mutantConst({n}, {arguments[0]})"
                yield Mutant(place, place + len(arguments[0]), text, "condition fixed", "value")


def _asserted(code: str, begin: int) -> bool:
    """Whether a value is only compared: untied, it would be what makes the assertion void."""
    before = code[:begin].rstrip()
    while outer := _OUTER.search(before):
        if outer[1] == "AssertIsEqual":
            return True
        before = before[: outer.start()].rstrip()
    return False


def _conditions(code: str, start: int, end: int) -> Iterator[Mutant]:
    for match in _IF.finditer(code, start, end):
        if "err" in match[1]:
            continue
        begin, stop = match.span(1)
        text = f"false && ({match[1]})"
        yield Mutant(begin, stop, text, "condition dropped", "condition")
        for found in _COMPARISON.finditer(code, begin, stop):
            text = code[begin : found.start(1)] + WEAKER[found[1]] + code[found.end(1) : stop]
            yield Mutant(begin, stop, text, "comparison weakened", "condition")


def _numbers(code: str, start: int, end: int) -> Iterator[Mutant]:
    """Numbers that are an operand of a sum or product of their own."""
    for match in _SUM.finditer(code, start, end):
        stop = closing(code, match.end() - 1)
        for begin, close in parts(code, match.end(), stop, ","):
            number = code[begin:close].strip()
            if re.fullmatch(r"-?\d+", number):
                place = code.index(number, begin)
                for step in (1,) if match[1] == "Mul" else (1, -1):
                    text = str(int(number) + step)
                    stop_at = place + len(number)
                    yield Mutant(place, stop_at, text, "number off by one", "number")


def _loops(code: str, start: int, end: int) -> Iterator[Mutant]:
    for match in _FOR.finditer(code, start, end):
        yield Mutant(match.end(1), match.end(1), "+1", "loop shortened", "extra")
    for match in _RANGE.finditer(code, start, end):
        index = match[1] if match[1] not in (None, "_") else "mutantRound"
        header = f"for {index}{match[2] or ''} := range {match[3]} {{\n{match[4]}"
        text = f"{header}if {index} == mutantLast({match[3]}) {{ break }}\n{match[4]}"
        yield Mutant(match.start(), match.end(), text, "loop shortened", "loop")


def _table(code: str, start: int, end: int) -> Iterator[Mutant]:
    """Numbers of constants and of tables, but not those of types such as [3]int."""
    for match in _NUMBER.finditer(code, start, end):
        line = code[code.rindex("\n", 0, match.start()) + 1 : match.start()]
        if "=" not in line and not re.match(r"\s*\d|\s*\{", line + match[0]):
            continue
        for step in (1, -1) if code.startswith("const", start) else (1,):
            text = str(int(match[1]) + step)
            yield Mutant(match.start(1), match.end(1), text, "number off by one")
    for match in re.finditer(r"\b(Strict): true", code[start:end]):
        place = start + match.start()
        yield Mutant(place, place + len(match[0]), f"{match[1]}: false", "condition dropped")
