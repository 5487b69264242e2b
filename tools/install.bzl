"""The library as one archive and one shared object, for programs that other tools build."""

# Both are of the same objects, which therefore must run wherever they are loaded.
def _position_independent_impl(settings, _attr):
    copts = settings["//command_line_option:copt"]
    more = [flag for flag in ["-fPIC", "-fno-semantic-interposition"] if flag not in copts]
    return {"//command_line_option:copt": copts + more}

_position_independent = transition(
    implementation = _position_independent_impl,
    inputs = ["//command_line_option:copt"],
    outputs = ["//command_line_option:copt"],
)

def _installable_library_impl(ctx):
    archives = []
    flags = []
    for input in ctx.attr.of[0][CcInfo].linking_context.linker_inputs.to_list():
        archives += [part.static_library or part.pic_static_library for part in input.libraries]
        flags += [flag for flag in input.user_link_flags if flag not in flags]

    archive = ctx.actions.declare_file("{0}/lib{1}.a".format(ctx.label.name, ctx.attr.stem))
    ctx.actions.run_shell(
        inputs = archives,
        outputs = [archive],
        mnemonic = "MergeArchives",
        use_default_shell_env = True,
        command = "(echo create {0}; for a in {1}; do echo addlib $a; done; echo save; echo end) | ar -M".format(
            archive.path,
            " ".join([file.path for file in archives]),
        ),
    )

    # Of Abseil the shared libraries: a program that has them too must not have everything twice.
    flags = [
        "-l" + flag[len("-l:lib"):-len(".a")] if flag.startswith("-l:lib") else flag
        for flag in flags
    ]
    shared = ctx.actions.declare_file("{0}/lib{1}.so".format(ctx.label.name, ctx.attr.stem))
    ctx.actions.run_shell(
        inputs = [archive],
        outputs = [shared],
        mnemonic = "LinkShared",
        use_default_shell_env = True,
        command = "g++ -shared -o {0} -Wl,-soname,{1} -Wl,--whole-archive {2} -Wl,--no-whole-archive {3}".format(
            shared.path,
            shared.basename,
            archive.path,
            " ".join(flags),
        ),
    )
    link_flags = ctx.actions.declare_file("{}/link_flags".format(ctx.label.name))
    ctx.actions.write(link_flags, " ".join(flags) + "\n")

    headers = ctx.attr.of[0][CcInfo].compilation_context.headers.to_list()
    files = [archive, shared, link_flags]
    return [DefaultInfo(
        files = depset(files),
        runfiles = ctx.runfiles(files + [header for header in headers if header.is_source]),
    )]

installable_library = rule(
    implementation = _installable_library_impl,
    attrs = {
        "of": attr.label(mandatory = True, providers = [CcInfo], cfg = _position_independent),
        "stem": attr.string(mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
