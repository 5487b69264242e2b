#!/usr/bin/env python3
"""Writes docs/ops.md: the prose of docs/ops.md.in, the public functions of ops/ops.h and of what it
includes, and the table of ops with the errors that the gradient table prints.

  ./bazelw run //docs:write_ops                    runs all checks (minutes), writes all figures
  ./bazelw run //docs:write_ops -- --keep_errors   keeps the errors of the present page (a second)

With --check (//docs:ops_test) it writes nothing and exits with 1 where the page is not what
--keep_errors would write. It stops at a declaration that it cannot read or that has no comment, at
a function without a row in tests/ops/functions.inc, and at an op whose source it does not find.
"""

import argparse
import dataclasses
import difflib
import glob
import os
import re
import subprocess
import sys

PAGE = "docs/ops.md"
TEMPLATE = "docs/ops.md.in"
PROGRAM = "tests/gradient_table/gradient_table"
ROWS = "tests/ops/functions.inc"
FIGURES = ("order 1", "order 2", "adjoint")
MULTILINE, DOTALL = re.MULTILINE, re.DOTALL
INTERNAL = re.compile(r"^namespace internal {\n.*?\n}  // namespace internal\n", MULTILINE | DOTALL)
LONGEST_RULE = 160  # characters; the source of a longer one is linked


class Problem(Exception):
    pass


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


# ---- The public functions ----


@dataclasses.dataclass
class Section:
    title: str
    lines: list  # as they stand in the header
    functions: list  # names, each once


@dataclasses.dataclass
class Header:
    path: str
    text: str  # its first comment
    sections: list
    along: set  # the functions that take axes


def without_comment(line):
    return re.sub(r"//.*", "", line)


def function_name(statement):
    """The name that a statement at namespace scope declares, or None if it declares no function."""
    text = re.sub(r"^template <[^>]*> ", "", " ".join(statement.split()))
    if re.match(r"(struct|class|enum|using|inline constexpr|constexpr) ", text):
        return None
    match = re.match(r"(?:inline )?[A-Za-z_][\w:<>, ]*[ &*](operator ?[^\s(]+|[A-Z]\w*)\(", text)
    if not match:
        raise Problem(f"cannot read this declaration: {text}")
    return match.group(1)


def statements(lines, path):
    """Yields (first line, last line + 1) of each statement at the scope of namespace wengert, but
    for those in namespace internal."""
    begin = lines.index("namespace wengert {") + 1
    end = lines.index("}  // namespace wengert")
    i = begin
    while i < end:
        if lines[i] == "namespace internal {":
            i = lines.index("}  // namespace internal", i) + 1
            continue
        if not without_comment(lines[i]).strip():
            i += 1
            continue
        first, depth = i, 0
        while True:
            if i == end:
                raise Problem(f"{path}:{first + 1}: this has no end")
            code = without_comment(lines[i]).rstrip()
            depth += sum(map(code.count, "{(")) - sum(map(code.count, "})"))
            i += 1
            if depth == 0 and code.endswith((";", "}")):
                break
        yield first, i


def parse_header(path):
    lines = read(path).split("\n")
    opening = []
    for line in lines:
        if not line.startswith("//"):
            break
        opening.append(line[2:].strip())
    header = Header(path, "\n".join(opening), [Section("", [], [])], set())
    declared = set()
    at = lines.index("namespace wengert {") + 1
    for first, last in statements(lines, path):
        declaration = "\n".join(without_comment(line) for line in lines[first:last])
        name = function_name(declaration)
        # The body of a template that stands with its comment further up.
        if name in declared and lines[first].startswith("template"):
            at = last
            continue
        between = INTERNAL.sub("", "\n".join(lines[at:first] + [""]))
        for line in between.split("\n")[:-1]:
            title = re.match(r"// ---- (.*?)( ----)?$", line)
            if title:
                header.sections.append(Section(title.group(1), [], []))
            else:
                header.sections[-1].lines.append(line)
        section = header.sections[-1]
        if name:
            declared.add(name)
            if re.search(r"\b(int (axis|axis_a|row_axis)|Axes& axes)\b", declaration):
                header.along.add(name)
            # A comment of its own, or that of the declarations above it without a blank line.
            lines_above = "\n".join(section.lines + [""]).split("\n\n")[-1]
            own = any("//" in line for line in lines[first:last])
            if not own and "//" not in lines_above:
                raise Problem(f"{path}:{first + 1}: {name} has no comment")
            if name not in section.functions:
                section.functions.append(name)
        section.lines += lines[first:last]
        at = last
    # Once more, without a look at where statements begin and end.
    public = INTERNAL.sub("", "\n".join(lines))
    for name in re.findall(r"^[A-Za-z][\w:<>, ]* (operator[^\s(]+|[A-Z]\w*)\(", public, MULTILINE):
        if name not in declared:
            raise Problem(f"{path}: {name} was overlooked")
    header.sections = [section for section in header.sections if section.lines]
    return header


def public_headers():
    main = parse_header("ops/ops.h")
    included = re.findall(r'^#include "(ops/\w+\.h)"', read("ops/ops.h"), MULTILINE)
    return [main] + [parse_header(path) for path in included]


# What tests/ops/functions.inc says of each function, which is what its test finds.
def function_rows():
    text = read(ROWS)
    results = re.findall(r"^FUNCTION\((\w+|operator[^\w\s,]+), \w+, k(\w+),", text, MULTILINE)
    return dict(results), re.findall(r"^ALONG(?:_NEW)?\((\w+),", text, MULTILINE)


# ---- The ops ----


def run_program(arguments):
    run = subprocess.run([PROGRAM] + arguments, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        raise Problem(f"{PROGRAM} {' '.join(arguments)}: exit code {run.returncode}")
    lines = [line.split("\t") for line in run.stdout.rstrip("\n").split("\n")]
    ops = [dict(zip(lines[0], line)) for line in lines[1:]]
    if len(ops) < 50 or any(len(line) != len(lines[0]) for line in lines):
        raise Problem(f"{PROGRAM} printed no table of ops")
    return ops


def sources_of_ops():
    """Where the struct of each op stands, and its rule if it is short: {name: (path, rule)}."""
    found = {}
    patterns = ["ops/*.cc", "autograd/*.cc", "autograd/*.h"]
    for path in sorted(path for pattern in patterns for path in glob.glob(pattern)):
        text = re.sub(r"^ *//.*\n", "", read(path), flags=MULTILINE)
        for match in re.finditer(r"static constexpr std::string_view kName =([^;]*);", text):
            start = text.rindex("\nstruct ", 0, match.start())
            struct = re.match(r"\nstruct (\w+)", text[start:]).group(1)
            rule = short_rule(struct, text[start : text.index("\n};", start) + 1])
            source = os.path.splitext(path)[0] + ".cc"  # where what the struct declares is defined
            if not rule and os.path.exists(source) and f"{struct}::Vjp" in read(source):
                rule = short_rule(struct, read(source))
            for name in re.findall(r'"(\w+)"', match.group(1)):
                if name in found:
                    raise Problem(f"{name} is an op in {found[name][0]} and in {path}")
                found[name] = (path, rule)
    return found


def short_rule(struct, text):
    """The body of the struct's Vjp in `text`, as it is written, if it is short; else None."""
    head = rf"\n( *)Gradients (?:{struct}::)?Vjp\([^{{;]*\) const {{"
    match = re.search(head + r"(.*?)(?:\n\1| )}\n", text, DOTALL)
    if not match:
        return None
    rule = " ".join(match.group(2).split())
    single = re.fullmatch(r"return \{([^;]*)};", rule)
    if single:
        rule = single.group(1)
    # What is not needed is not computed; of what is needed this is the rule.
    rule = re.sub(r"needs\[\d] \? (.*?) : Variable\(\)", r"\1", rule)
    return rule if len(rule) <= LONGEST_RULE else None


def rule_of(op, sources):
    if op["kind"] == "constant":
        return ""
    if op["kind"] == "row":
        # One for each operand. A rule that gives no Variable gives zero.
        rules = ["0" if rule == "Variable()" else f"`{rule}`" for rule in op["rule"].split("; ")]
        return "; ".join(rules)
    if op["op"] not in sources:
        raise Problem(f"no struct with kName \"{op['op']}\" in ops/*.cc or autograd/")
    path, rule = sources[op["op"]]
    link = f"[{path}](../{path})"
    if op["kind"] == "composite":
        return f"of the Definition in {link}"
    return f"`{rule}`" if rule else f"in {link}"


def gives(op):
    cells = [op["int32"], op["bool"]]
    shown = {"": "", "-": "refused"}
    return [shown.get(cell, cell) for cell in cells]


def table_row(cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table_of_ops(ops, errors):
    sources = sources_of_ops()
    lines = [
        "| op | cases | sampled from | of int32 | of bool | gradient rule | "
        + " | ".join(FIGURES) + " |",
        "|---|---:|---|---|---|---|---:|---:|---:|",
    ]
    for op in ops:
        figures = [errors.get(op["op"], {}).get(figure, "") for figure in FIGURES]
        cells = [op["op"], op["cases"], op["domain"], *gives(op), rule_of(op, sources), *figures]
        lines.append(table_row(cells))
    cases = sum(int(op["cases"]) for op in ops)
    lines += ["", f"{len(ops)} ops, {cases} cases."]
    return "\n".join(lines)


def errors_of_page(page):
    """The figures of a page that this program wrote."""
    errors = {}
    for line in page.split("\n"):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 9 and cells[1].isdigit():
            errors[cells[0]] = dict(zip(FIGURES, cells[6:]))
    return errors


# ---- The page ----


def plain(name):
    return name.replace("_", "").lower()


def reference(headers, ops, rows, along):
    by_plain_name = {plain(op["op"]): op for op in ops}
    sources = sources_of_ops()
    parts, known = [], set()
    for header in headers:
        parts.append(f"### [{header.path}](../{header.path})\n\n{header.text}")
        for section in header.sections:
            if section.title:
                parts.append(f"#### {section.title}")
            code = "\n".join(section.lines).strip("\n")
            # Every function takes it, and no caller writes it.
            code = re.sub(r",\s+SourceLocation where = SourceLocation::current\(\)", "", code)
            # Of inline functions the declaration.
            code = re.sub(r"^inline ([A-Z][^{}]*\)) {.*?}$", r"\1;", code, flags=MULTILINE | DOTALL)
            parts.append(f"```c++\n{code}\n```")
            if not section.functions:
                continue
            lines = ["| function | result | its op | gradient rule |", "|---|---|---|---|"]
            for name in section.functions:
                known.add(name)
                if name not in rows:
                    raise Problem(f"{header.path}: {name} has no row in {ROWS}")
                if name in header.along and name not in along:
                    raise Problem(f"{header.path}: {name}, of an axis, has no row ALONG in {ROWS}")
                op = by_plain_name.get(plain(name))
                cells = [f"`{name}`", rows[name].lower()]
                cells += [op["op"], rule_of(op, sources)] if op else ["", ""]
                lines.append(table_row(cells))
            parts.append("\n".join(lines))
    for name in rows:
        if name not in known:
            raise Problem(f"{ROWS}: {name} is no public function of ops/ops.h")
    if len(known) < 100:
        raise Problem(f"only {len(known)} public functions were found")
    return "\n\n".join(parts)


def write_page(ops, errors):
    page = read(TEMPLATE)
    for place, text in [
        ("{{functions}}", reference(public_headers(), ops, *function_rows())),
        ("{{table}}", table_of_ops(ops, errors)),
    ]:
        if page.count(place) != 1:
            raise Problem(f"{TEMPLATE}: {place} must stand there once")
        page = page.replace(place, text)
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--keep_errors", action="store_true")
    modes.add_argument("--check", action="store_true")
    flags = parser.parse_args()
    present = read(PAGE)
    if flags.keep_errors or flags.check:
        ops, errors = run_program(["--list"]), errors_of_page(present)
    else:
        ops = run_program([])
        errors = {op["op"]: op for op in ops}
    page = write_page(ops, errors)
    if not flags.check:
        root = os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")
        with open(os.path.join(root, PAGE), "w", encoding="utf-8") as file:
            file.write(page)
        return 0
    if page == present:
        return 0
    lines = present.splitlines(True), page.splitlines(True)
    sys.stdout.writelines(difflib.unified_diff(*lines, PAGE, "as it should be"))
    print(f"{PAGE} is not up to date: ./bazelw run //docs:write_ops -- --keep_errors")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Problem as problem:
        sys.exit(f"write_ops: {problem}")
