#!/bin/bash
# ./bazelw run //:install -- PREFIX: Wengert's headers, archive and shared library, with what
# pkg-config and CMake want to know of them.
set -euo pipefail

version=0.1.0

if (($# != 1)) || [[ $1 == -* ]]; then
  echo "usage: ./bazelw run //:install -- PREFIX" >&2
  exit 2
fi
source=$PWD # where Bazel laid out the files: here, or beside the workspace that depends on it
[[ -e $source/wengert.h ]] || source=$PWD/../wengert
cd "${BUILD_WORKING_DIRECTORY:-$PWD}"
mkdir -p "$1"
prefix=$(cd "$1" && pwd)

put() { install -D -m "$1" "$2" "$prefix/$3"; }

# What wengert.h includes, and what those do.
declare -A seen=([wengert.h]=1)
headers=(wengert.h)
for ((i = 0; i < ${#headers[@]}; ++i)); do
  header=${headers[i]}
  put 644 "$source/$header" "include/wengert/$header"
  while read -r included; do
    [[ -e $source/$included && -z ${seen[$included]:-} ]] || continue
    seen[$included]=1
    headers+=("$included")
  done < <(sed -n 's/^ *#include "\(.*\)".*/\1/p' "$source/$header")
done

put 644 "$source/installable/libwengert.a" lib/libwengert.a
put 755 "$source/installable/libwengert.so" lib/libwengert.so

# The modules of Abseil whose functions the headers call.
abseil=$(cd "$prefix/include/wengert" && grep -rhoP '#include "absl/\K[a-z_/]+' . | sort -u |
  while read -r name; do
    for module in "absl_${name##*/}" "absl_${name//\//_}" "absl_${name%/*}"; do
      pkg-config --exists "$module" && echo "$module" && break
    done
  done | sort -u | tr '\n' ' ')

mkdir -p "$prefix/lib/pkgconfig" "$prefix/lib/cmake/wengert"
cat >"$prefix/lib/pkgconfig/wengert.pc" <<EOF
prefix=$prefix
includedir=\${prefix}/include/wengert
libdir=\${prefix}/lib

Name: wengert
Description: Differentiable programs on CPUs
Version: $version
Requires: $abseil
Cflags: -std=c++20 -I\${includedir}
Libs: -L\${libdir} -lwengert
Libs.private: $(cat "$source/installable/link_flags")
EOF

# wengert::wengert is the shared library, wengert::static the archive.
cat >"$prefix/lib/cmake/wengert/wengertConfig.cmake" <<EOF
include(CMakeFindDependencyMacro)
find_dependency(absl)
get_filename_component(_wengert_prefix "\${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
foreach(_wengert_kind wengert static)
  if(NOT TARGET wengert::\${_wengert_kind})
    add_library(wengert::\${_wengert_kind} UNKNOWN IMPORTED)
    target_compile_features(wengert::\${_wengert_kind} INTERFACE cxx_std_20)
    target_include_directories(wengert::\${_wengert_kind} INTERFACE
      "\${_wengert_prefix}/include/wengert")
    target_link_libraries(wengert::\${_wengert_kind} INTERFACE
      $(for module in $abseil; do printf 'absl::%s ' "${module#absl_}"; done))
  endif()
endforeach()
set_target_properties(wengert::wengert PROPERTIES
  IMPORTED_LOCATION "\${_wengert_prefix}/lib/libwengert.so")
set_target_properties(wengert::static PROPERTIES
  IMPORTED_LOCATION "\${_wengert_prefix}/lib/libwengert.a")
target_link_libraries(wengert::static INTERFACE
  $(sed 's/-l\([^ ]*\)/\1/g' "$source/installable/link_flags"))
EOF
cat >"$prefix/lib/cmake/wengert/wengertConfigVersion.cmake" <<EOF
set(PACKAGE_VERSION "$version")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
EOF
echo "${#headers[@]} headers, libwengert.a and libwengert.so in $prefix"
