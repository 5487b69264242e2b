"""Repositories that lie in third_party/bazel/, by their names there."""

def _bundled_impl(ctx):
    home = ctx.path(Label("//third_party:BUILD")).dirname.get_child("bazel").get_child(ctx.name)
    for child in home.readdir():
        ctx.symlink(child, child.basename)

bundled = repository_rule(implementation = _bundled_impl, local = True)
