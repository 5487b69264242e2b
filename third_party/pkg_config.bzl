"""Turns libraries that the system has installed into cc_library targets, link flags included.

Their headers are in /usr/include, which every compile action may read, so a target is little more
than what must be linked. Three rules:

  pkg_config(name, modules)  One target per entry: {target name: pkg-config module}. With
      headers_only nothing is linked.
  abseil(name)               Abseil, with the labels that its own Bazel files use. A module absl_X is
      //absl/X               if Abseil has a folder X: //absl/strings, //absl/status, //absl/time
      //absl/FOLDER:NAME     if FOLDER/NAME.h exists and X is NAME or FOLDER_NAME:
                             //absl/types:span, //absl/status:statusor, //absl/flags:parse
      and a few whose header has another name (see _ABSEIL_OTHERS). Internal modules have no label.
  system_library(name, target, linkopts)  A library without a pkg-config file.
"""

_PUBLIC = "package(default_visibility = [\"//visibility:public\"])\n"

# Labels whose name no header has.
_ABSEIL_OTHERS = {
    "btree": ("container", "btree"),
    "core_headers": ("base", "core_headers"),
    "flags": ("flags", "flag"),
}

def _cc_library(name, linkopts = [], defines = [], deps = []):
    return "\ncc_library(\n    name = {},\n    defines = {},\n    linkopts = {},\n    deps = {},\n)\n".format(
        repr(name),
        repr(defines),
        repr(linkopts),
        repr(deps),
    )

def _run(ctx, arguments):
    result = ctx.execute(arguments)
    if result.return_code:
        fail("{} failed: {}".format(" ".join(arguments), result.stderr))
    return result.stdout.strip()

def _pkg_config_impl(ctx):
    build = _PUBLIC
    for name, module in ctx.attr.modules.items():
        flags = _run(ctx, ["pkg-config", "--cflags", "--libs", module]).split(" ")
        build += _cc_library(
            name,
            linkopts = [] if ctx.attr.headers_only else [flag for flag in flags if flag.startswith("-l")],
            defines = [flag[2:] for flag in flags if flag.startswith("-D")],
        )
    ctx.file("BUILD", build)

pkg_config = repository_rule(
    implementation = _pkg_config_impl,
    attrs = {
        "headers_only": attr.bool(),
        "modules": attr.string_dict(mandatory = True),
    },
    local = True,
)

def _system_library_impl(ctx):
    ctx.file("BUILD", _PUBLIC + _cc_library(ctx.attr.target, linkopts = ctx.attr.linkopts))

system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {
        "linkopts": attr.string_list(mandatory = True),
        "target": attr.string(mandatory = True),
    },
)

def _field(module, name):
    for line in module.split("\n"):
        if line.startswith(name + ":"):
            return line[len(name) + 1:]
    return ""

def _abseil_label(name, names, headers):
    """The (folder, target) of the module absl_<name>, or None if it is internal."""
    if name in _ABSEIL_OTHERS:
        return _ABSEIL_OTHERS[name]
    if name in headers:
        return (name, name)
    for folder in headers:
        prefix = folder + "_"
        if name.startswith(prefix) and name[len(prefix):] + ".h" in headers[folder]:
            return (folder, name[len(prefix):])
    for folder in headers:
        if name + ".h" in headers[folder] and folder + "_" + name not in names:
            return (folder, name)
    return None

def _abseil_impl(ctx):
    modules = {
        path.basename[len("absl_"):-len(".pc")]: path
        for path in ctx.path(_run(ctx, ["pkg-config", "--variable=pcfiledir", "absl_base"])).readdir()
        if path.basename.startswith("absl_") and path.basename.endswith(".pc")
    }
    include = ctx.path(_run(ctx, ["pkg-config", "--variable=includedir", "absl_base"]) + "/absl")
    headers = {
        folder.basename: [header.basename for header in folder.readdir()]
        for folder in include.readdir()
    }

    # One target per module at the root, with its direct dependencies, so that Bazel orders the archives.
    root = _PUBLIC
    packages = {}
    for name, path in modules.items():
        module = "absl_" + name
        text = ctx.read(path)
        root += _cc_library(
            module,
            # The static archive, not the shared library: a binary then carries what it uses.
            linkopts = [
                "-l:lib" + flag[2:] + ".a" if flag.startswith("-labsl_") else flag
                for flag in _field(text, "Libs").split(" ")
                if flag.startswith("-l")
            ],
            deps = [":" + word for word in _field(text, "Requires").split(" ") if word.startswith("absl_")],
        )
        label = _abseil_label(name, modules, headers)
        if label:
            folder, target = label
            packages.setdefault(folder, _PUBLIC)
            packages[folder] += "\nalias(\n    name = {},\n    actual = {},\n)\n".format(
                repr(target),
                repr("//:" + module),
            )
    ctx.file("BUILD", root)
    for folder, build in packages.items():
        ctx.file("absl/{}/BUILD".format(folder), build)

abseil = repository_rule(implementation = _abseil_impl, local = True)
