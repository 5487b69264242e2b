"""What Wengert needs of the workspace of a program that uses it; nothing is downloaded.

    local_repository(name = "wengert", path = "...")
    load("@wengert//:deps.bzl", "wengert_deps")
    wengert_deps()

The libraries are those that Debian packages install (tools/debian-packages.txt). A repository that
the workspace has already is left as it is.
"""

load("//third_party:bundled.bzl", "bundled")
load("//third_party:pkg_config.bzl", "abseil", "pkg_config", "system_library")

def _maybe(rule, name, **arguments):
    if name not in native.existing_rules():
        rule(name = name, **arguments)

def wengert_deps():
    """Declares the repositories that //:wengert and its parts depend on."""
    _maybe(abseil, "com_google_absl")

    # Its library is not linked: ops/kernels/simd_targets.cc says why.
    _maybe(pkg_config, "highway", headers_only = True, modules = {"hwy": "libhwy"})
    _maybe(pkg_config, "libpng", modules = {"libpng": "libpng"})
    _maybe(pkg_config, "nlohmann_json", modules = {"json": "nlohmann_json"})
    _maybe(pkg_config, "zlib", modules = {"zlib": "zlib"})
    _maybe(system_library, "onednn", linkopts = ["-ldnnl"], target = "dnnl")

    # Rule sets that Bazel's own files load.
    _maybe(native.local_repository, "bazel_skylib", path = "/usr/share/bazel/tools/skylib")
    _maybe(native.local_repository, "platforms", path = "/usr/share/bazel/tools/platforms")
    _maybe(bundled, "remote_coverage_tools")
    _maybe(bundled, "rules_cc")
    _maybe(native.local_repository, "rules_java", path = "/usr/share/bazel/rules/java")
    _maybe(native.local_repository, "rules_proto", path = "/usr/share/bazel/rules/proto")
